using Microsoft.AspNetCore.Http;
using Rlgf.Serving.Answers;
using Rlgf.Serving.Protocol;

namespace Rlgf.Serving.Http;

/// <summary>All that is no answer: the list of models, adapters, tokens.</summary>
/// <param name="served">The model's tokenizer and chat template.</param>
/// <param name="shelf">The model and its adapters.</param>
internal sealed class ModelEndpoints(ServedModel served, ModelShelf shelf)
{
    /// <summary><c>/v1/models</c>.</summary>
    public Task ListAsync(HttpContext http) => RequestBody.WriteAsync(http, 200, new { Object = "list", Data = shelf.Entries.Select(Shown).ToArray() });

    /// <summary><c>/v1/models/NAME</c>.</summary>
    public Task OneAsync(HttpContext http)
    {
        var name = Uri.UnescapeDataString((string?)http.Request.RouteValues["name"] ?? "");
        return RequestBody.WriteAsync(http, 200, Shown(shelf.Entries.FirstOrDefault(entry => entry.Name == name)
            ?? throw new RequestException("model", $"there is no model '{name}' here: GET /v1/models lists those there are") { Status = StatusCodes.Status404NotFound, Code = "model_not_found" }));
    }

    /// <summary><c>/v1/load_lora_adapter</c>.</summary>
    public async Task LoadAdapterAsync(HttpContext http)
    {
        var fields = await RequestBody.ReadAsync(http).ConfigureAwait(false);
        var (name, path) = (Required(fields, "lora_name"), Required(fields, "lora_path"));
        RequestFields.Of(shelf.Entries.Any(entry => entry.Name == name) ? "lora_name" : "lora_path", () =>
        {
            shelf.Load(name, path);
            return true;
        });
        await http.Response.WriteAsync($"Success: LoRA adapter '{name}' added successfully.", http.RequestAborted).ConfigureAwait(false);
    }

    /// <summary><c>/v1/unload_lora_adapter</c>.</summary>
    public async Task UnloadAdapterAsync(HttpContext http)
    {
        var name = Required(await RequestBody.ReadAsync(http).ConfigureAwait(false), "lora_name");
        if (!shelf.Unload(name)) throw new RequestException("lora_name", $"lora_name: there is no adapter '{name}'") { Status = StatusCodes.Status404NotFound };
        await http.Response.WriteAsync($"Success: LoRA adapter '{name}' removed successfully.", http.RequestAborted).ConfigureAwait(false);
    }

    /// <summary><c>/tokenize</c>, of a text or of messages.</summary>
    public async Task TokenizeAsync(HttpContext http)
    {
        var fields = await RequestBody.ReadAsync(http).ConfigureAwait(false);
        var ids = fields.Value("messages") is null
            ? served.Tokenizer.Encode(Required(fields, "prompt"), fields.Flag("add_special_tokens") ?? true)
            : AnswerRequest.Conversation(fields, served);
        var texts = fields.Flag("return_token_strs") == true ? ids.Select(served.TextOf).ToArray() : null;
        await RequestBody.WriteAsync(http, 200, new { Count = ids.Length, MaxModelLen = served.RowTokens, Tokens = ids, TokenStrs = texts }).ConfigureAwait(false);
    }

    /// <summary><c>/detokenize</c>.</summary>
    public async Task DetokenizeAsync(HttpContext http)
    {
        var fields = await RequestBody.ReadAsync(http).ConfigureAwait(false);
        var ids = fields.Ids("tokens") ?? throw new RequestException("tokens", "tokens: is missing: give a list of token ids");
        if (Array.Find(ids, id => id < 0 || id >= served.Shape.Vocabulary) is var wrong and not 0) throw new RequestException("tokens", $"tokens: there is no token {wrong}: ids are 0 to {served.Shape.Vocabulary - 1}");
        await RequestBody.WriteAsync(http, 200, new { Prompt = served.Tokenizer.Decode(ids, skipSpecialTokens: false) }).ConfigureAwait(false);
    }

    private object Shown(ModelEntry entry) => new
    {
        Id = entry.Name,
        Object = "model",
        Created = entry.Created.ToUnixTimeSeconds(),
        OwnedBy = "rlgf",
        Root = entry.Parent ?? entry.Name,
        entry.Parent,
        MaxModelLen = served.RowTokens,
    };

    private static string Required(RequestFields fields, string field) => fields.Text(field) ?? throw new RequestException(field, $"{field}: is missing");
}
