using Microsoft.Extensions.AI;
using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Serving.Chat;
using Rlgf.Serving.Engine;

namespace Rlgf.Serving;

/// <summary>Models of this process for programs that know nothing of this library.</summary>
public static class TextModelExtensions
{
    /// <summary>
    /// The model as a chat client: answers are those that <c>rlgf serve</c> gives. <see cref="ChatOptions.Temperature"/> 0 takes the most likely token always; <c>continue_final_message</c> among the additional
    /// properties, true, goes on with the assistant's message at the end. Tools and formats are refused.
    /// </summary>
    /// <param name="model">The model, with a chat template in its folder. Nobody else may use it while the client does; it isn't disposed with the client.</param>
    /// <param name="name">What it is called; its folder's name by default.</param>
    /// <param name="settings">What bounds the work; null for the defaults.</param>
    /// <exception cref="InputException">The model has no chat template.</exception>
    public static IChatClient AsChatClient(this TextModel model, string? name = null, EngineSettings? settings = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new ModelChatClient(model, name ?? new DirectoryInfo(model.Folder).Name, settings ?? new EngineSettings());
    }
}
