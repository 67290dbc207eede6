using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Text.Data;

namespace Rlgf.App.Terminals;

/// <summary>From a prompt's text to what a model is given.</summary>
internal static class PromptTokens
{
    /// <summary>The prompt's tokens with those that the tokenizer puts around a text; where there is none, the begin token, since a model can't write from nothing.</summary>
    /// <exception cref="InputException">The prompt is empty and the tokenizer has no begin token.</exception>
    public static int[] Of(TextModel model, string prompt, DataRow row)
    {
        var ids = model.Tokenizer.Encode(prompt, addSpecialTokens: true);
        if (ids.Length > 0)
        {
            return ids;
        }

        return model.BeginToken is { } begin ? [begin] : throw row.Invalid("prompt", "it is empty, and neither the model nor its tokenizer has a begin token to start from");
    }
}
