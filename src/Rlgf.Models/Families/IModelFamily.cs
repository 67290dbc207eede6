using System.Text.Json.Nodes;
using Rlgf.Base;
using Rlgf.Models.Blocks;
using Rlgf.Models.Checkpoints;
using static TorchSharp.torch;

namespace Rlgf.Models.Families;

/// <summary>
/// A family of models: it reads its <c>config.json</c>, builds modules whose parameters have the names of the checkpoint format, and knows which other names files use for them.
/// To add a family, write one of these and name it in <c>ModelFamilies</c>.
/// </summary>
internal interface IModelFamily
{
    /// <summary>The <c>model_type</c> that it reads.</summary>
    string ModelType { get; }

    /// <summary>What <c>architectures</c> calls its sequence classifier.</summary>
    string ClassifierArchitecture { get; }

    /// <summary>Builds a language model whose parameters have no values yet.</summary>
    /// <exception cref="InputException">The family writes no text, or a setting is missing or impossible.</exception>
    ILanguageModel CreateLanguageModel(ModelConfiguration configuration, Device device);

    /// <summary>Builds a sequence classifier whose parameters have no values yet.</summary>
    /// <exception cref="InputException">The family has no classifier here, or a setting is missing or impossible.</exception>
    ISequenceClassifier CreateClassifier(ModelConfiguration configuration, Device device);

    /// <summary>What the modules call a tensor of a file; null for one to be ignored (buffers, copies of tied weights).</summary>
    string? NameInModule(string nameInFile, ModelConfiguration configuration);

    /// <summary>
    /// The parameter, by the module's name for it, whose numbers a stored tensor has too, where the family ties weights; null for a tensor that is tied to none. A file holds tied weights once,
    /// under any of their names: transformers leaves out all but the embedding's, safetensors itself keeps the name that comes first in the alphabet.
    /// </summary>
    /// <remarks>A head that the configuration doesn't tie is never one of them.</remarks>
    string? TiedTo(string nameInFile, ModelConfiguration configuration) => null;

    /// <summary>Where its embedding and the head of a language model are, and whether the two are one; null for a family that writes no text.</summary>
    EmbeddingNames? Embeddings(ModelConfiguration configuration) => null;

    /// <summary>
    /// Adds to a configuration that is to be written what transformers 4 and converters of other programs call otherwise than transformers 5, or ask for beside it, so that all read the same model.
    /// </summary>
    /// <param name="configuration">As it was read.</param>
    /// <param name="json">What is written; changed.</param>
    void CompleteForOtherReaders(ModelConfiguration configuration, JsonObject json) { }

    /// <summary>Whether it has language models: encoders have none.</summary>
    bool WritesText => true;

    /// <summary>Whether a parameter of a classifier on an encoder belongs to its head, which is drawn where a new classifier begins.</summary>
    bool IsOfHead(string nameInModule) => false;

    /// <summary>Whether a file may lack this parameter, which then keeps the value that the module was built with.</summary>
    bool MayBeMissing(string nameInModule) => false;
}
