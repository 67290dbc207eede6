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
