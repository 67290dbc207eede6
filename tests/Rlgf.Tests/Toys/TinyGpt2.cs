using Rlgf.Models;
using Rlgf.Models.Families.Gpt2;
using Rlgf.Models.Loading;

namespace Rlgf.Tests.Toys;

/// <summary>A GPT-2 of two small layers over digits, with random weights.</summary>
internal static class TinyGpt2
{
    public const int Vocabulary = 8, End = 7;

    public static ILanguageModel Create(ulong seed) => Create(Vocabulary, End, contextLength: 32, seed);

    public static ILanguageModel Create(int vocabulary, int end, int contextLength, ulong seed = 1) => LanguageModelFolder.Create(
        new Gpt2Configuration { Vocabulary = vocabulary, ContextLength = contextLength, Width = 16, Layers = 2, Heads = 2, EosId = end }.ToModelConfiguration(), seed);
}
