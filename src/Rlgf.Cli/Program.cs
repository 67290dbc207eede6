using System.Text;
using Rlgf.Cli;

var utf8 = new UTF8Encoding(encoderShouldEmitUTF8Identifier: false);
using var input = new StreamReader(Console.OpenStandardInput(), utf8);
await using var output = new StreamWriter(Console.OpenStandardOutput(), utf8);
await using var error = new StreamWriter(Console.OpenStandardError(), utf8) { AutoFlush = true };
using var interrupt = new Interrupt(error);
var terminal = new Terminal(input, output, error)
{
    Stop = interrupt.Token,
    RewritesLines = !Console.IsErrorRedirected && Environment.GetEnvironmentVariable("TERM") != "dumb",
    Width = Console.IsErrorRedirected ? 0 : Math.Max(40, Console.BufferWidth),
};
return CommandLine.Run(args, terminal);
