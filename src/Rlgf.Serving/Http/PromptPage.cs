using Microsoft.AspNetCore.Http;

namespace Rlgf.Serving.Http;

/// <summary>The page at <c>/</c>, to try prompts in. It is one file and asks nobody but this server.</summary>
internal static class PromptPage
{
    private static readonly byte[] Html = Read();

    /// <summary>Writes the page.</summary>
    public static async Task WriteAsync(HttpContext http)
    {
        http.Response.ContentType = "text/html; charset=utf-8";
        http.Response.Headers.ContentSecurityPolicy = "default-src 'none'; connect-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        http.Response.ContentLength = Html.Length;
        await http.Response.Body.WriteAsync(Html, http.RequestAborted).ConfigureAwait(false);
    }

    private static byte[] Read()
    {
        using var stream = typeof(PromptPage).Assembly.GetManifestResourceStream("page.html")!;
        var bytes = new byte[stream.Length];
        stream.ReadExactly(bytes);
        return bytes;
    }
}
