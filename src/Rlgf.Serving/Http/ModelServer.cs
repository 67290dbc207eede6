using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Rlgf.Base;
using Rlgf.Models.Loading;
using Rlgf.Serving.Answers;
using Rlgf.Serving.Engine;

namespace Rlgf.Serving.Http;

/// <summary>A model behind OpenAI's protocol, from <see cref="StartAsync"/> until it is disposed. The model stays its owner's.</summary>
public sealed class ModelServer : IAsyncDisposable
{
    private readonly WebApplication _web;
    private readonly ModelEngine _engine;
    private readonly EngineMetrics _metrics;

    private readonly ModelShelf _shelf;

    private ModelServer(WebApplication web, ModelEngine engine, EngineMetrics metrics, ModelShelf shelf) => (_web, _engine, _metrics, _shelf) = (web, engine, metrics, shelf);

    /// <summary>Where it listens, such as <c>http://127.0.0.1:8000</c>.</summary>
    public string Address => _web.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    /// <summary>Begins to serve.</summary>
    /// <param name="model">The model; nobody else may use it meanwhile.</param>
    /// <param name="settings">Where and how.</param>
    /// <param name="cancellationToken">Gives up starting.</param>
    /// <exception cref="InputException">The address can't be used, a folder isn't there, or another address than this machine's own has no key.</exception>
    public static async Task<ModelServer> StartAsync(TextModel model, ServerSettings settings, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(settings);
        settings.Validate();
        var name = settings.Name ?? new DirectoryInfo(model.Folder).Name;
        var metrics = new EngineMetrics(name);
        var engine = new ModelEngine(settings.Engine, metrics);
        WebApplication? web = null;
        try
        {
            var served = new ServedModel(model, TextModel.TokenizerFolderOf(settings.TokenizerFolder ?? model.Folder), settings.Engine);
            web = Build(settings);
            var shelf = new ModelShelf(served, name, engine, settings.AdaptersFolder);
            Map(web, served, shelf, settings, metrics);
            await web.StartAsync(cancellationToken).ConfigureAwait(false);
            return new ModelServer(web, engine, metrics, shelf);
        }
        catch (Exception failure)
        {
            if (web is not null) await web.DisposeAsync().ConfigureAwait(false);
            engine.Dispose();
            metrics.Dispose();
            if (failure is not IOException) throw;
            throw new InputException(failure.InnerException is AddressInUseException
                ? $"port {settings.Port} of {settings.Host} is taken by another program: choose another (--port), or 0 for a free one"
                : $"can't listen on {settings.Host}, port {settings.Port}: {failure.Message}", failure);
        }
    }

    /// <summary>Stops taking requests, gives those that are being answered up, and ends.</summary>
    public async ValueTask DisposeAsync()
    {
        _engine.Dispose();
        _shelf.Dispose();
        // Those whose rows are given up are told so, before their connections are closed.
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5));
        await _web.StopAsync(patience.Token).ConfigureAwait(false);
        await _web.DisposeAsync().ConfigureAwait(false);
        _metrics.Dispose();
    }

    private static WebApplication Build(ServerSettings settings)
    {
        // Nothing of the machine's configuration files or variables: what is said is all there is.
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = settings.BodyBytes;
            kestrel.Listen(settings.Address(), settings.Port);
        });
        builder.Services.AddRoutingCore();
        MetricsExport.AddTo(builder);
        return builder.Build();
    }

    private static void Map(WebApplication web, ServedModel served, ModelShelf shelf, ServerSettings settings, EngineMetrics metrics)
    {
        var guard = new RequestGuard(settings);
        web.Use((http, next) => GuardedAsync(http, next, guard, metrics));
        var answers = new AnswerEndpoints(served, shelf, settings.Engine);
        var models = new ModelEndpoints(served, shelf);
        web.MapPost("/v1/completions", answers.CompleteAsync);
        web.MapPost("/v1/chat/completions", answers.ChatAsync);
        web.MapGet("/v1/models", models.ListAsync);
        web.MapGet("/v1/models/{**name}", models.OneAsync);
        web.MapPost("/v1/load_lora_adapter", models.LoadAdapterAsync);
        web.MapPost("/v1/unload_lora_adapter", models.UnloadAdapterAsync);
        web.MapPost("/tokenize", models.TokenizeAsync);
        web.MapPost("/detokenize", models.DetokenizeAsync);
        // Load balancers ask by HEAD.
        web.MapMethods("/health", [HttpMethods.Get, HttpMethods.Head], (HttpContext http) => RequestBody.WriteAsync(http, 200, new { Status = "ok" }));
        web.MapMethods("/", [HttpMethods.Get, HttpMethods.Head], PromptPage.WriteAsync);
        web.MapFallback(http => throw new Protocol.RequestException(null, $"there is no {http.Request.Method} {http.Request.Path} here") { Status = StatusCodes.Status404NotFound });
    }

    private static async Task GuardedAsync(HttpContext http, RequestDelegate next, RequestGuard guard, EngineMetrics metrics)
    {
        var start = Stopwatch.GetTimestamp();
        try
        {
            guard.Check(http.Request);
            await next(http).ConfigureAwait(false);
        }
#pragma warning disable CA1031 // The one place where every failure of a request ends: a client gets one line, not a stack trace.
        catch (Exception failure)
#pragma warning restore CA1031
        {
            if (http.RequestAborted.IsCancellationRequested && !http.Response.HasStarted) http.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
            else if (!http.Response.HasStarted)
            {
                var (status, body) = Failures.Of(failure);
                if (status == StatusCodes.Status429TooManyRequests) http.Response.Headers.RetryAfter = "1";
                await RequestBody.WriteAsync(http, status, body).ConfigureAwait(false);
            }
        }
        finally
        {
            // By the path that is known here, not by whatever a client writes.
            if (http.GetEndpoint() is RouteEndpoint { RoutePattern.RawText: { } known } && known.StartsWith("/v1/", StringComparison.Ordinal))
                metrics.Answered(known, http.Response.StatusCode, Stopwatch.GetElapsedTime(start), (http.Items[UsageCount.Key] as UsageCount)?.Read ?? 0);
        }
    }
}
