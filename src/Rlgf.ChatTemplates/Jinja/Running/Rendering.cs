using System.Runtime.CompilerServices;
using System.Text;

namespace Rlgf.ChatTemplates.Jinja;

/// <summary>
/// One use of a template: where its text goes and how much it may still do. Templates come with models from anywhere, so that every loop and call is counted; what
/// they may do grows with the conversation.
/// </summary>
/// <param name="now">The time that the template is told.</param>
/// <param name="messages">How many messages the conversation has.</param>
/// <param name="characters">How many characters it has.</param>
internal sealed class Rendering(DateTime now, int messages, long characters)
{
    private const int MaxDepth = 200;

    private readonly Stack<StringBuilder> _outputs = new([new StringBuilder()]);

    // Some templates go through all messages for each of them.
    private readonly long _maxSteps = 5_000_000 + 10_000L * messages + 50L * messages * messages + 10 * characters;
    private readonly long _maxSize = (1 << 22) + 16 * characters;
    private readonly long _maxSizeInAll = (1L << 26) + 64 * characters + characters * Math.Min(messages, 1000);
    private long _steps;
    private long _made;
    private int _depth;

    /// <summary>The time that the template is told.</summary>
    public DateTime Now { get; } = now;

    /// <summary>The line that is being worked on.</summary>
    public int Line { get; set; } = 1;

    /// <summary>Whether what is written is escaped as HTML.</summary>
    public bool Escapes { get; set; }

    /// <summary>What is written around what the assistant wrote, where the template says so; null for nothing.</summary>
    public (char Begin, char End)? Marks { get; init; }

    /// <summary>What is written so far.</summary>
    public string Text => _outputs.Peek().ToString();

    /// <summary>Counts things done.</summary>
    /// <exception cref="TemplateException">They are too many.</exception>
    public void Step(long steps = 1)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if ((_steps += steps) > _maxSteps)
            throw new TemplateException($"does more than {_maxSteps} steps; it may never end");
    }

    /// <summary>Writes text.</summary>
    public void Write(string text)
    {
        RequireRoom((long)_outputs.Peek().Length + text.Length);
        _outputs.Peek().Append(text);
    }

    /// <summary>Refuses texts and lists that would be too large.</summary>
    public void RequireRoom(long size)
    {
        if (size > _maxSize)
            throw new TemplateException($"makes a value of more than {_maxSize} characters or elements");
    }

    /// <summary>As <see cref="RequireRoom"/> for a value that is made now: many of a fair size are too much as well.</summary>
    public void RequireSize(long size)
    {
        RequireRoom(size);
        Step(size / 1024);
    }

    /// <summary>Counts a value that was made.</summary>
    public object? Made(object? value)
    {
        var size = PythonText.AsText(value)?.Length ?? (value is List<object?> list ? list.Count : value is PythonTuple tuple ? tuple.Items.Count : 0);
        if ((_made += size) > _maxSizeInAll)
            throw new TemplateException($"makes values of more than {_maxSizeInAll} characters in all");
        return value;
    }

    /// <summary>Runs something one level deeper.</summary>
    public T Deeper<T>(Func<T> work)
    {
        if (_depth == MaxDepth)
            throw new TemplateException($"calls itself more than {MaxDepth} deep");
        _depth++;
        var result = work();
        _depth--;
        return result;
    }

    /// <summary>Runs something and takes what it writes.</summary>
    public string Capture(Action body)
    {
        _outputs.Push(new StringBuilder());
        body();
        return _outputs.Pop().ToString();
    }
}
