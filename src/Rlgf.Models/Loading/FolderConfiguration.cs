using Rlgf.Base;
using Rlgf.Models.Checkpoints;

namespace Rlgf.Models.Loading;

/// <summary>The configuration of whatever a folder holds, a whole model or an adapter.</summary>
public static class FolderConfiguration
{
    /// <summary>Reads a folder's <c>config.json</c>; that of its base model where the folder holds an adapter.</summary>
    /// <exception cref="InputException">It's absent or not a JSON object.</exception>
    public static ModelConfiguration Read(string folder)
    {
        var path = Path.Combine(folder, "config.json");
        if (folder.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) && File.Exists(folder))
            throw OfGguf(folder);
        if (!Directory.Exists(folder)) throw MissingFolder.Fault(folder, "give the folder of a model (config.json, model.safetensors)");
        if (!File.Exists(path) && AdapterFolder.Is(folder)) return AdapterFolder.ReadModelConfiguration(folder);
        return AdapterFolder.Is(folder) ? AdapterFolder.ReadModelConfiguration(folder, TextPart.Of(ModelConfiguration.ReadFile(folder))) : TextPart.Of(ModelConfiguration.ReadFile(folder));
    }

    /// <summary>Where a GGUF file stands in a folder's place: what to do, which is not a conversion that would be refused.</summary>
    private static InputException OfGguf(string path) => GgufTensors.WhyNotConverted(path) is { } fault
        ? new InputException($"a GGUF file is not read as it is, and no folder can be made of this one either; take the model in the Hugging Face format: {fault.Message}", fault)
        : new InputException($"{path}: a GGUF file is not read as it is; make a folder of it first: rlgf convert {path} FOLDER");
}
