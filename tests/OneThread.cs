using System.Runtime.CompilerServices;
using System.Text;

namespace Rlgf.Tests.Shared;

/// <summary>Test projects run side by side, and on machines that do other work: one thread for each operation keeps two cores busy without crowding.</summary>
internal static class OneThread
{
    [ModuleInitializer]
    public static void Set()
    {
        // Asked what assembly this is, the runner must answer one line and be gone: on a busy machine its end can take so long, with the native library above all, that a message about it gets into the answer.
        if (Environment.GetCommandLineArgs().Contains("-assemblyInfo"))
        {
            Console.SetOut(new FirstLine(Console.Out));
            return;
        }

        // As the command line, whose numbers are tested; a test starts this program again as one that only hosts the library.
        if (Environment.GetEnvironmentVariable("RLGF_TESTS_HOST_ONLY") is not null) return;
        Rlgf.Models.TorchRuntime.TuneProcess();
        Rlgf.Models.TorchRuntime.Load(threads: 1);
    }

    /// <summary>Writes the first line that it is given, and nothing after it.</summary>
    private sealed class FirstLine(TextWriter output) : TextWriter
    {
        private StringBuilder? _line = new();

        public override Encoding Encoding => output.Encoding;

        public override void Write(char value)
        {
            if (value != '\n')
            {
                _line?.Append(value);
                return;
            }

            if (_line is not null) output.WriteLine(_line.ToString().TrimEnd('\r'));
            _line = null;
        }
    }
}
