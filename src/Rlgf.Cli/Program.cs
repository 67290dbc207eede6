using System.Text;
using Rlgf.Cli;

var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);
using var input = new StreamReader(StandardStream.Input(), utf8);
await using var output = new StreamWriter(StandardStream.Output(), new UTF8Encoding(false));
// Signals are handled on a thread of their own, which writes here too.
await using var error = TextWriter.Synchronized(new StreamWriter(StandardStream.Error(), new UTF8Encoding(false)) { AutoFlush = true });
using var interrupt = new Interrupt(error);
var terminal = new Terminal(input, output, error)
{
    Stop = interrupt.Token,
    RewritesLines = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb",
    OutColumns = Console.IsOutputRedirected ? 80 : Math.Max(40, Console.BufferWidth),
    Width = Console.IsErrorRedirected ? 0 : Math.Max(40, Console.BufferWidth),
};
return CommandLine.Run(args, terminal);
