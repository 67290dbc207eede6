using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Rlgf.Base;
using Rlgf.Serving.Answers;
using Rlgf.Serving.Engine;
using Rlgf.Serving.Protocol;

namespace Rlgf.Serving.Http;

/// <summary>What went wrong, as clients hear of it.</summary>
internal static class Failures
{
    /// <summary>HTTP's status and the body for an exception.</summary>
    public static (int Status, ErrorBody Body) Of(Exception failure) => failure switch
    {
        RequestException request => Error(request.Status, request.Message, request.Field, request.Code),
        InputException input => Error(400, input.Message),
        QueueFullException full => Error(429, full.Message),
        JsonException json => Error(400, $"the body is {JsonFault.Words(json)}"),
        // A text that is no Unicode: it is found when it is looked at.
        InvalidOperationException { Source: { } source } text when source.StartsWith("System.Text.Json", StringComparison.Ordinal) => Error(400, "the body is not valid JSON: a name in it holds half of a surrogate pair"),
        BadHttpRequestException bad => Error(bad.StatusCode, bad.Message),
        OperationCanceledException => Error(503, "the server is stopping"),
        _ => Error(500, failure.Message.Split('\n')[0].Trim()),
    };

    private static (int Status, ErrorBody Body) Error(int status, string message, string? field = null, string? code = null) => (status, new ErrorBody(new ErrorDetail(message, status switch
    {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        429 => "rate_limit_error",
        >= 500 => "server_error",
        _ => "invalid_request_error",
    }, field, code)));
}
