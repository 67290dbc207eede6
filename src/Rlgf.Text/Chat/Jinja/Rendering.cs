using System.Runtime.CompilerServices;
using System.Text;

namespace Rlgf.Text.Chat.Jinja;

/// <summary>One use of a template: where its text goes and how much it may still do. Templates come with models from anywhere, so every loop and call is counted.</summary>
internal sealed class Rendering(string name, DateTime now)
{
    private const int MaxSteps = 500_000;
    private const int MaxCharacters = 1 << 22;
    private const long MaxCharactersInAll = 1 << 25;
    private const int MaxDepth = 60;

    private readonly Stack<StringBuilder> _outputs = new([new StringBuilder()]);
    private int _steps;
    private int _depth;
    private long _made;

    /// <summary>The time that the template is told.</summary>
    public DateTime Now { get; } = now;

    /// <summary>Counts one thing done.</summary>
    public void Step(int line, int steps = 1)
    {
        RuntimeHelpers.EnsureSufficientExecutionStack();
        if ((_steps += steps) > MaxSteps)
            throw Error(line, $"does more than {MaxSteps} steps; it may never end");
    }

    /// <summary>Writes text.</summary>
    public void Write(string text, int line)
    {
        RequireSize((long)_outputs.Peek().Length + text.Length, line);
        _outputs.Peek().Append(text);
    }

    /// <summary>Refuses texts and lists that would be too large.</summary>
    public void RequireSize(long size, int line)
    {
        if (size > MaxCharacters)
            throw Error(line, $"makes a value of more than {MaxCharacters} characters");
    }

    /// <summary>Counts a value that was made: many of a fair size are too much as well.</summary>
    public object? Made(object? value, int line)
    {
        if (value is string text && (_made += text.Length) > MaxCharactersInAll)
            throw Error(line, $"makes values of more than {MaxCharactersInAll} characters in all");
        return value;
    }

    /// <summary>What is written so far.</summary>
    public string Text => _outputs.Peek().ToString();

    /// <summary>Runs something and takes what it writes.</summary>
    public string Capture(int line, Action body)
    {
        if (++_depth > MaxDepth)
            throw Error(line, $"calls itself more than {MaxDepth} deep");
        _outputs.Push(new StringBuilder());
        body();
        _depth--;
        return _outputs.Pop().ToString();
    }

    /// <summary>The error to throw about the template.</summary>
    public InputException Error(int line, string what) => new($"{name}: line {line}: the template {what}.");

    /// <summary>The error that the template itself asks for.</summary>
    public InputException Refusal(string message) => new($"{name}: the template refuses these messages: {message.ReplaceLineEndings(" ")}");
}
