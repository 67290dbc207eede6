using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Rlgf.Base;

namespace Rlgf.Rewards.Remote;

/// <summary>A program to run and what it may use.</summary>
/// <param name="Program">Its name or path.</param>
/// <param name="Arguments">Its arguments.</param>
/// <param name="Timeout">The longest time for one line.</param>
/// <param name="MemoryBytes">The most memory that it and the programs that it starts may hold.</param>
internal sealed record LineProgramSettings(string Program, IReadOnlyList<string> Arguments, TimeSpan Timeout, long MemoryBytes);

/// <summary>A running program that is asked by a line on its standard input and answers by a line on its standard output. After a failure it is of no more use.</summary>
internal sealed class LineProgram : IDisposable
{
    private const int LongestAnswer = 1 << 20;
    private const int ErrorCharacters = 2000;
    private static readonly TimeSpan Watch = TimeSpan.FromMilliseconds(25);

    /// <summary>What a program gets of this one's environment: nothing else, since keys and tokens are in it.</summary>
    private static readonly string[] Environment =
    [
        "PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "TEMP", "TMP", "SystemRoot", "USERPROFILE", "PATHEXT", "COMSPEC",
        "PYTHONPATH", "VIRTUAL_ENV", "JAVA_HOME", "DOTNET_ROOT",
    ];

    private readonly LineProgramSettings _settings;
    private readonly Process _process;
    private readonly Task _errors;
    private readonly StringBuilder _lastError = new();
    private readonly char[] _buffer = new char[4096];
    private int _start;
    private int _end;
    private Task<int>? _reading;

    /// <summary>What is wrong with a program's name before it is started; null where a file of that name is found as the system would find it.</summary>
    /// <param name="program">A name on the path, or a path.</param>
    public static string? Problem(string program)
    {
        // Where .NET looks: beside this program, in the current folder, then in the folders of the path.
        string[] folders = Path.IsPathRooted(program) ? [""] : [AppContext.BaseDirectory, "", .. (System.Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)];
        string[] endings = OperatingSystem.IsWindows() ? ["", ".exe", ".com"] : [""];
        return folders.Any(folder => endings.Any(ending => File.Exists(Path.Combine(folder, program + ending)))) ? null
            : $"there is no program '{program}'{(Path.IsPathRooted(program) ? "" : " on the path or in the current folder")}; install it, or name its file";
    }

    /// <summary>Starts the program.</summary>
    /// <exception cref="InputException">It can't be started.</exception>
    public LineProgram(LineProgramSettings settings)
    {
        _settings = settings;
        var start = new ProcessStartInfo(settings.Program, settings.Arguments)
        {
            RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
            StandardInputEncoding = new UTF8Encoding(false), StandardOutputEncoding = new UTF8Encoding(false), StandardErrorEncoding = new UTF8Encoding(false),
        };
        var kept = Environment.Where(start.Environment.ContainsKey).ToDictionary(name => name, name => start.Environment[name]);
        start.Environment.Clear();
        foreach (var (name, value) in kept) start.Environment[name] = value;
        try
        {
            _process = Process.Start(start)!;
        }
        catch (Win32Exception failure)
        {
            throw new InputException($"the program '{settings.Program}' can't be started: {failure.Message}", failure);
        }

        _errors = Task.Run(DrainErrors);
    }

    /// <summary>Whether it was found to have ended: a program may answer once, and end before the next question.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Asks for one line.</summary>
    /// <param name="line">The question, without a line end.</param>
    /// <param name="cancellationToken">Ends the program.</param>
    /// <returns>The answer.</returns>
    /// <exception cref="RowFailure">It took too long or too much memory, ended, or answered more than one line.</exception>
    public async Task<string> AskAsync(string line, CancellationToken cancellationToken)
    {
        if (_reading is { IsCompletedSuccessfully: true, Result: > 0 }) throw Failure("it wrote a line that it wasn't asked for");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(_settings.Timeout);
        using var watched = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
        var memory = WatchMemoryAsync(watched);
        string? answer = null;
        try
        {
            await _process.StandardInput.WriteAsync($"{line}\n".AsMemory(), watched.Token).ConfigureAwait(false);
            await _process.StandardInput.FlushAsync(watched.Token).ConfigureAwait(false);
            answer = await ReadLineAsync(watched.Token).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is IOException or OperationCanceledException)
        {
            // Said below: it ended, or was at a limit.
            HasEnded = failure is IOException;
        }

        await watched.CancelAsync().ConfigureAwait(false);
        if (await memory.ConfigureAwait(false)) throw Failure(FormattableString.Invariant($"it took more than the {_settings.MemoryBytes >> 20} MiB that it may"));
        cancellationToken.ThrowIfCancellationRequested();
        if (answer is not null) return _start == _end ? answer : throw Failure("it answered more than one line");
        if (limit.IsCancellationRequested) throw Failure(FormattableString.Invariant($"it took longer than the {_settings.Timeout.TotalSeconds} seconds that it may"));
        if (_end < 0) throw Failure($"it answered more than {LongestAnswer} characters without a line end");
        await _process.WaitForExitAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(5), CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await _errors.WaitAsync(TimeSpan.FromSeconds(1), CancellationToken.None).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        var code = _process.HasExited ? FormattableString.Invariant($" with code {_process.ExitCode}") : "";
        throw Failure($"it ended{code} without an answer");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Kill();
        _process.Dispose();
    }

    /// <summary>The next line; null at the end, and where there is no line end for too long.</summary>
    private async Task<string?> ReadLineAsync(CancellationToken cancellationToken)
    {
        var line = new StringBuilder();
        while (true)
        {
            var rest = _buffer.AsMemory(_start, _end - _start);
            if (rest.Span.IndexOf('\n') is >= 0 and var at)
            {
                line.Append(rest[..at]);
                _start += at + 1;
                if (_start == _end) _reading = _process.StandardOutput.ReadAsync(_buffer, 0, _buffer.Length);
                return line.ToString().TrimEnd('\r');
            }

            line.Append(rest);
            if (line.Length > LongestAnswer)
            {
                (_start, _end) = (-1, -1);
                return null;
            }

            _reading ??= _process.StandardOutput.ReadAsync(_buffer, 0, _buffer.Length);
            (_start, _end) = (0, 0);
            _end = await _reading.WaitAsync(cancellationToken).ConfigureAwait(false);
            _reading = null;
            // What is written before an end without a line end is an answer too.
            if (_end > 0) continue;
            HasEnded = line.Length == 0;
            return HasEnded ? null : line.ToString();
        }
    }

    /// <summary>Looks at the memory until it is told to stop, or there is too much: then it ends the program and the wait for it.</summary>
    /// <returns>Whether there was too much.</returns>
    private async Task<bool> WatchMemoryAsync(CancellationTokenSource watched)
    {
        while (!watched.IsCancellationRequested)
        {
            if (ProcessTree.MemoryOf(_process) > _settings.MemoryBytes)
            {
                Kill();
                await watched.CancelAsync().ConfigureAwait(false);
                return true;
            }

            await Task.Delay(Watch, watched.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        return false;
    }

    private RowFailure Failure(string what)
    {
        Kill();
        string said;
        lock (_lastError) said = _lastError.ToString();
        var last = said.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).LastOrDefault();
        return new RowFailure($"the program '{_settings.Program}': {what}{(last is null ? "" : $" (it said: {RowJson.Short(last)})")}");
    }

    private void DrainErrors()
    {
        var buffer = new char[1024];
        try
        {
            while (_process.StandardError.Read(buffer) is > 0 and var read)
            {
                lock (_lastError)
                {
                    _lastError.Append(buffer, 0, read);
                    if (_lastError.Length > ErrorCharacters) _lastError.Remove(0, _lastError.Length - ErrorCharacters);
                }
            }
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // The program was ended.
        }
    }

    private void Kill()
    {
        try
        {
            _process.Kill(entireProcessTree: true);
        }
        catch (Exception failure) when (failure is InvalidOperationException or Win32Exception or NotSupportedException)
        {
            // It has ended already.
        }
    }
}
