using System.Buffers;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Polly;
using Polly.Retry;
using Rlgf.Base;

namespace Rlgf.Models.Hub;

/// <summary>How far a fetch is.</summary>
/// <param name="Bytes">Bytes that are there, those of earlier fetches included.</param>
/// <param name="Total">Bytes of all files.</param>
/// <param name="File">The file in work.</param>
public sealed record FetchProgress(long Bytes, long Total, string File);

/// <summary>Brings a model from a hub into the cache. What is there already stays; what was cut short goes on where it stopped; what is complete is checked.</summary>
public static class HubFetch
{
    /// <summary>Fetches a model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="patterns">Which files, with * and ?; empty for what a model needs.</param>
    /// <param name="settings">Address, cache and token.</param>
    /// <param name="begun">Called once it is known how much there is to do.</param>
    /// <param name="progress">Called as bytes come.</param>
    /// <param name="stop">Stops it; what has come is kept.</param>
    /// <returns>The folder with the files.</returns>
    /// <exception cref="InputException">It can't be had, or what came is damaged; complete files are kept.</exception>
    /// <exception cref="OperationCanceledException">It was stopped.</exception>
    public static string Run(HubModel model, IReadOnlyList<string> patterns, HubSettings settings, Action<FetchProgress>? begun = null, IProgress<FetchProgress>? progress = null, CancellationToken stop = default) =>
        RunAsync(model, patterns, settings, begun, progress, stop).GetAwaiter().GetResult();

    private static async Task<string> RunAsync(HubModel model, IReadOnlyList<string> patterns, HubSettings settings, Action<FetchProgress>? begun, IProgress<FetchProgress>? progress, CancellationToken stop)
    {
        using var client = new HubClient(settings);
        var cache = new HubCache(settings.CacheFolder, model);
        var (commit, names) = await client.ListAsync(model, stop).ConfigureAwait(false);
        var files = new List<HubFile>();
        foreach (var name in HubFiles.Choose(names, patterns, model.Name)) files.Add(await client.DescribeAsync(model, commit, name, stop).ConfigureAwait(false));

        var total = files.Sum(file => file.Bytes);
        long done = files.Sum(file => new FileInfo(cache.BlobPath(file.Etag)) is { Exists: true } blob && blob.Length == file.Bytes ? file.Bytes : Download.BytesThere(cache.BlobPath(file.Etag)));
        begun?.Invoke(new FetchProgress(done, total, ""));
        foreach (var file in files)
        {
            var blob = cache.BlobPath(file.Etag);
            if (!(File.Exists(blob) && new FileInfo(blob).Length == file.Bytes))
            {
                var download = new Download(client, settings, model, commit, file, blob, change => progress?.Report(new FetchProgress(done += change, total, file.Name)));
                await download.RunAsync(stop).ConfigureAwait(false);
            }

            cache.Link(commit, file.Name, blob);
        }

        cache.WriteReference(model.Revision, commit);
        return cache.SnapshotFolder(commit);
    }

    /// <summary>One file on its way: it grows under a name of its own, and gets the right one when its length and sum are those that were announced.</summary>
    private sealed class Download(HubClient client, HubSettings settings, HubModel model, string commit, HubFile file, string blob, Action<long> changed)
    {
        private readonly string _partial = blob + Ending;

        private const string Ending = ".incomplete";

        private string What => $"{model.Name}/{file.Name}";

        /// <summary>Bytes that an earlier fetch left.</summary>
        public static long BytesThere(string blob) => new FileInfo(blob + Ending) is { Exists: true } partial ? partial.Length : 0;

        public async Task RunAsync(CancellationToken stop)
        {
            Directory.CreateDirectory(Path.GetDirectoryName(blob)!);
            await using (var stream = Open())
            {
                // A sum that is wrong may be an earlier part's fault, so that the file is begun afresh once.
                for (var attempt = 1; ; attempt++)
                {
                    await FillAsync(stream, stop).ConfigureAwait(false);
                    if (await WrongSumAsync(stream, stop).ConfigureAwait(false) is not { } wrong) break;
                    changed(-stream.Length);
                    stream.SetLength(0);
                    if (attempt == 2) throw new InputException($"{What}: {wrong}, twice: the server or something between is damaged; nothing of it is kept.");
                }
            }

            AtomicFile.Complete(_partial, blob);
        }

        private FileStream Open()
        {
            try
            {
                return new FileStream(_partial, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException failure)
            {
                throw new InputException($"{_partial}: can't be written: {failure.Message} Is another fetch at work?", failure);
            }
        }

        /// <summary>Brings the stream to the announced length, asking again for the rest when the connection breaks.</summary>
        private async Task FillAsync(FileStream stream, CancellationToken stop)
        {
            if (stream.Length > file.Bytes) Restart(stream);
            var rest = new ResiliencePipelineBuilder().AddRetry(new RetryStrategyOptions
            {
                MaxRetryAttempts = settings.Retries,
                BackoffType = DelayBackoffType.Exponential,
                Delay = settings.FirstWait,
                MaxDelay = settings.LongestWait,
                UseJitter = true,
                ShouldHandle = new PredicateBuilder().Handle<BrokenDownloadException>(),
            }).Build();
            try
            {
                await rest.ExecuteAsync(async token => await AppendRestAsync(stream, token).ConfigureAwait(false), stop).ConfigureAwait(false);
            }
            catch (BrokenDownloadException failure)
            {
                throw new InputException($"{What}: {failure.Message} What has come is kept; fetch again to go on from there.", failure);
            }
        }

        private async Task AppendRestAsync(FileStream stream, CancellationToken stop)
        {
            if (stream.Length == file.Bytes) return;
            using var response = await client.DownloadAsync(model, commit, file, stream.Length, stop).ConfigureAwait(false);
            if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable) Restart(stream);
            if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable) throw new BrokenDownloadException("The server has no such part of it.");
            if (response.StatusCode != HttpStatusCode.PartialContent) Restart(stream); // It sends all of it.
            else if (response.Content.Headers.ContentRange is not { From: { } from } || from != stream.Length) throw new BrokenDownloadException("The server sends another part than was asked for.");
            if (response.Content.Headers.ContentLength is { } length && stream.Length + length != file.Bytes)
                throw new InputException(string.Create(CultureInfo.InvariantCulture, $"{What}: the server sends {stream.Length + length} bytes where it announced {file.Bytes}; what has come before is kept."));
            stream.Position = stream.Length;
            var buffer = ArrayPool<byte>.Shared.Rent(1 << 17);
            try
            {
                await using var body = await response.Content.ReadAsStreamAsync(stop).ConfigureAwait(false);
                while (await ReadAsync(body, buffer, stop).ConfigureAwait(false) is > 0 and var count)
                {
                    if (stream.Length + count > file.Bytes) throw new InputException(string.Create(CultureInfo.InvariantCulture, $"{What}: the server sends more than the {file.Bytes} bytes that it announced."));
                    await stream.WriteAsync(buffer.AsMemory(0, count), stop).ConfigureAwait(false);
                    changed(count);
                }
            }
            catch (Exception failure) when (failure is HttpIOException or HttpRequestException or TimeoutException)
            {
                throw new BrokenDownloadException(Broken(stream, failure.Message), failure);
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
                stream.Flush(); // What has come must outlast a process that is ended now.
            }

            if (stream.Length < file.Bytes) throw new BrokenDownloadException(Broken(stream, "the server ended it."));
        }

        private string Broken(FileStream stream, string reason) => string.Create(CultureInfo.InvariantCulture, $"the connection broke at {stream.Length} of {file.Bytes} bytes: {reason}");

        private async Task<int> ReadAsync(Stream body, byte[] buffer, CancellationToken stop)
        {
            using var silence = CancellationTokenSource.CreateLinkedTokenSource(stop);
            silence.CancelAfter(settings.Silence);
            try
            {
                return await body.ReadAsync(buffer, silence.Token).ConfigureAwait(false);
            }
            catch (OperationCanceledException) when (!stop.IsCancellationRequested)
            {
                throw new TimeoutException(string.Create(CultureInfo.InvariantCulture, $"nothing came for {settings.Silence.TotalSeconds:0.#} seconds."));
            }
            catch (IOException failure) when (failure is not HttpIOException)
            {
                throw new HttpIOException(HttpRequestError.ResponseEnded, failure.Message, failure);
            }
        }

        private void Restart(FileStream stream)
        {
            if (stream.Length == 0) return;
            changed(-stream.Length);
            stream.SetLength(0);
        }

        /// <summary>What is wrong with the content; null where it is the announced one, or the server's name for it is no sum.</summary>
        private async Task<string?> WrongSumAsync(FileStream stream, CancellationToken stop)
        {
            var (name, sum) = file.Etag.Length switch
            {
                64 => ("SHA-256", await HashAsync(HashAlgorithmName.SHA256, "", stream, stop).ConfigureAwait(false)),
                // Git's id of a file is the sum of a word, its length and its content.
                40 => ("git id", await HashAsync(HashAlgorithmName.SHA1, string.Create(CultureInfo.InvariantCulture, $"blob {stream.Length}\0"), stream, stop).ConfigureAwait(false)),
                _ => ("", file.Etag),
            };
            return sum == file.Etag || !file.Etag.All(char.IsAsciiHexDigitLower) ? null : $"its {name} is {sum} where the server announced {file.Etag}";
        }

        private static async Task<string> HashAsync(HashAlgorithmName algorithm, string before, FileStream stream, CancellationToken stop)
        {
            using var hash = IncrementalHash.CreateHash(algorithm);
            hash.AppendData(Encoding.ASCII.GetBytes(before));
            stream.Position = 0;
            var buffer = new byte[1 << 17];
            while (await stream.ReadAsync(buffer, stop).ConfigureAwait(false) is > 0 and var count) hash.AppendData(buffer.AsSpan(0, count));
            return Convert.ToHexStringLower(hash.GetHashAndReset());
        }
    }

    /// <summary>A connection that ended before the file did; asking again may help.</summary>
    private sealed class BrokenDownloadException : Exception
    {
        public BrokenDownloadException(string message) : base(message) { }

        public BrokenDownloadException(string message, Exception innerException) : base(message, innerException) { }
    }
}
