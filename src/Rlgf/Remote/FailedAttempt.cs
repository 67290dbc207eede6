using Polly.Retry;

namespace Rlgf.Remote;

/// <summary>An attempt that is repeated.</summary>
/// <param name="Response">Its answer; null where there was none.</param>
/// <param name="Failure">What it threw; null where there was an answer.</param>
/// <param name="Wait">The wait before it is repeated.</param>
/// <param name="RetriesLeft">How often it is repeated at most, this time included.</param>
/// <param name="TimeLeft">How long that takes, if each attempt takes as long as this one did: about, as waits are somewhat random and a server may ask for others.</param>
internal sealed record FailedAttempt(HttpResponseMessage? Response, Exception? Failure, TimeSpan Wait, int RetriesLeft, TimeSpan TimeLeft)
{
    internal static FailedAttempt Of(OnRetryArguments<HttpResponseMessage> arguments, EndpointSettings settings, TimeSpan longestWait)
    {
        var left = PatientHttp.RetriesOf(arguments.Context, settings) - arguments.AttemptNumber;
        var time = arguments.RetryDelay + (left * arguments.Duration);
        for (var retry = 1; retry < left; retry++)
            time += TimeSpan.FromSeconds(Math.Min(settings.FirstWait.TotalSeconds * Math.Pow(2, arguments.AttemptNumber + retry), longestWait.TotalSeconds));
        return new(arguments.Outcome.Result, arguments.Outcome.Exception, arguments.RetryDelay, left, time);
    }
}
