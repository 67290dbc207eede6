using System.Collections;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Metrics;
using Rlgf.Serving.Engine;

namespace Rlgf.Serving.Http;

/// <summary>Sends the metrics to a collector, by OpenTelemetry's own environment variables: nothing is sent unless <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> names where.</summary>
internal static class MetricsExport
{
    private const string Prefix = "OTEL_";

    private const string Endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>Adds the exporter where it is asked for.</summary>
    public static void AddTo(WebApplicationBuilder builder)
    {
        if (Environment.GetEnvironmentVariable(Endpoint) is not { Length: > 0 }) return;
        // The exporter reads the program's configuration, which has no variables but these.
        builder.Configuration.AddInMemoryCollection(Environment.GetEnvironmentVariables().Cast<DictionaryEntry>()
            .Where(entry => ((string)entry.Key).StartsWith(Prefix, StringComparison.Ordinal)).Select(entry => KeyValuePair.Create((string)entry.Key, (string?)entry.Value)));
        builder.Services.AddOpenTelemetry().WithMetrics(metrics => metrics.AddMeter(EngineMetrics.MeterName, "Microsoft.AspNetCore.Server.Kestrel").AddOtlpExporter());
    }
}
