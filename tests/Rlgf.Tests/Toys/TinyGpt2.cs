using Rlgf.Models;
using Rlgf.Models.Families.Gpt2;

namespace Rlgf.Tests.Toys;

/// <summary>A GPT-2 of two small layers over digits, with random weights.</summary>
internal static class TinyGpt2
{
    public const int Vocabulary = 8, End = 7;

    public static ILanguageModel Create(ulong seed) => LanguageModelFolder.Create(
        new Gpt2Configuration { Vocabulary = Vocabulary, ContextLength = 32, Width = 16, Layers = 2, Heads = 2, EosId = End }.ToModelConfiguration(), seed);
}
