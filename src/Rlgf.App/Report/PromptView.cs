using System.Text;
using Rlgf.Prompts;

namespace Rlgf.App.Report;

/// <summary>A prompt as a page shows it: a text, or a conversation message by message.</summary>
internal static class PromptView
{
    /// <summary>HTML of a prompt.</summary>
    /// <param name="prompt">Its text.</param>
    /// <param name="messages">Its conversation; null where the text is all there is.</param>
    /// <param name="most">The most characters of the text, or of each message.</param>
    public static string Html(string prompt, IReadOnlyList<MessageRecord>? messages, int most)
    {
        if (messages is null) return HtmlText.Escape(prompt, most);
        var html = new StringBuilder();
        foreach (var message in messages) html.Append("<span class=\"message\"><small>").Append(HtmlText.Escape(message.Role, most)).Append("</small> ").Append(HtmlText.Escape(message.Content, most)).Append("</span>");
        return html.ToString();
    }

    /// <summary>A prompt as lines of text: one, or one for each message.</summary>
    /// <param name="prompt">Its text.</param>
    /// <param name="messages">Its conversation; null where the text is all there is.</param>
    public static IEnumerable<string> Lines(string prompt, IReadOnlyList<MessageRecord>? messages) => messages is null ? [prompt] : messages.Select(message => $"{message.Role}: {message.Content}");
}
