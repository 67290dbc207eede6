using System.Globalization;

namespace Rlgf.App.Terminals;

/// <summary>
/// How far long work is, on standard error: done of total, rate, time left, and the last figures. On a terminal it is one line that is written over; elsewhere
/// (a log, a pipe) a plain line now and then.
/// </summary>
internal sealed class ProgressLine : IDisposable
{
    private static readonly TimeSpan OnTerminal = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan InLog = TimeSpan.FromSeconds(10);

    private readonly Terminal _terminal;
    private readonly string _what;
    private readonly string _unit;
    private readonly long? _total;
    private readonly long _alreadyDone;
    private readonly long _started;
    private readonly Lock _writing = new();
    private long _shown;
    private long _done;
    private string _figures = "";
    private bool _lineIsOpen;

    /// <summary>Begins to count time.</summary>
    /// <param name="terminal">Whose standard error it is.</param>
    /// <param name="what">What is being done, such as <c>generate</c>.</param>
    /// <param name="unit">What is counted, in the plural, such as <c>rows</c>.</param>
    /// <param name="total">How many there are, or null where that is not known.</param>
    /// <param name="alreadyDone">How many of them were done before (by a run that this one resumes); they do not count for the rate.</param>
    public ProgressLine(Terminal terminal, string what, string unit, long? total, long alreadyDone = 0)
    {
        (_terminal, _what, _unit, _total, _alreadyDone, _done) = (terminal, what, unit, total, alreadyDone, alreadyDone);
        _started = _shown = terminal.Clock.GetTimestamp();
    }

    /// <summary>Says how many are done, and shows it if it is time to.</summary>
    /// <param name="done">How many of the total, those done before included.</param>
    /// <param name="figures">What was last measured, such as <c>loss 3.21</c>; null leaves the last ones.</param>
    public void Report(long done, string? figures = null)
    {
        lock (_writing)
        {
            _done = done;
            _figures = figures ?? _figures;
            if (_terminal.Clock.GetElapsedTime(_shown) >= (_terminal.RewritesLines ? OnTerminal : InLog))
            {
                Show();
            }
        }
    }

    /// <summary>Writes a line that stays, above the progress.</summary>
    public void Note(string line)
    {
        lock (_writing)
        {
            Clear();
            _terminal.Error.WriteLine(line);
        }
    }

    /// <summary>Ends with one plain line: how many in what time, with the last figures; those done before are told apart.</summary>
    public void Done()
    {
        lock (_writing)
        {
            Clear();
            var elapsed = _terminal.Clock.GetElapsedTime(_started);
            var counted = _alreadyDone == 0 ? $"{Number(_done)} {_unit}" : $"{Number(_done)} {_unit}, {Number(_done - _alreadyDone)} of them";
            _terminal.Error.WriteLine(Join($"{_what}: {counted} in {Duration(elapsed)}", Rate(elapsed), _figures));
        }
    }

    /// <summary>Leaves the terminal with a finished line, so that what is printed next stands alone.</summary>
    public void Dispose()
    {
        lock (_writing)
        {
            Clear();
        }
    }

    /// <summary>A duration as people write it: 42s, 3m05s, 2h07m.</summary>
    public static string Duration(TimeSpan time) => time.TotalSeconds switch
    {
        < 9.95 => time.TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture) + "s",
        < 59.5 => Math.Round(time.TotalSeconds).ToString(CultureInfo.InvariantCulture) + "s",
        < 3600 => $"{(int)time.TotalMinutes}m{time.Seconds:00}s",
        _ => $"{(int)time.TotalHours}h{time.Minutes:00}m",
    };

    private void Show()
    {
        var elapsed = _terminal.Clock.GetElapsedTime(_started);
        var counted = _total is { } total ? $"{Number(_done)}/{Number(total)} {_unit}" : $"{Number(_done)} {_unit}";
        var line = Join($"{_what}: {counted}", Rate(elapsed), TimeLeft(elapsed), _figures);
        if (!_terminal.RewritesLines)
        {
            _terminal.Error.WriteLine(line);
        }
        else
        {
            // A line that wraps can't be written over, so it is cut at the edge. \e[K clears what was there before.
            _terminal.Error.Write("\r" + (_terminal.Width > 1 && line.Length >= _terminal.Width ? line[..(_terminal.Width - 1)] : line) + "\e[K");
            _terminal.Error.Flush();
            _lineIsOpen = true;
        }

        _shown = _terminal.Clock.GetTimestamp();
    }

    private void Clear()
    {
        if (_lineIsOpen)
        {
            _terminal.Error.Write("\r\e[K");
            _lineIsOpen = false;
        }
    }

    private string Rate(TimeSpan elapsed)
    {
        var perSecond = (_done - _alreadyDone) / Math.Max(1e-9, elapsed.TotalSeconds);
        return perSecond switch
        {
            0 => "",
            >= 1 => $"{Number(perSecond)} {_unit}/s",
            _ => $"{Number(1 / perSecond)} s each",
        };
    }

    private string TimeLeft(TimeSpan elapsed) =>
        _total is { } total && _done > _alreadyDone ? $"{Duration(elapsed * ((double)(total - _done) / (_done - _alreadyDone)))} left" : "";

    private static string Join(params string[] parts) => string.Join(" · ", parts.Where(part => part.Length > 0));

    private static string Number(double value) => value.ToString(value < 100 && value != Math.Floor(value) ? "0.0" : "#,0", CultureInfo.InvariantCulture);
}
