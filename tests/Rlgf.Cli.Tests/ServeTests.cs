using System.Text.Json.Nodes;
using Rlgf.Models.Loading;
using Rlgf.Serving.Http;

namespace Rlgf.Cli.Tests;

[Collection(ExactNumbersCollection.Name)]
public sealed class ServeTests
{
    private static string Asset(string name) => Path.Combine(Repository.Root, "assets", name);

    [Fact]
    public async Task The_first_line_says_where_it_listens_and_a_stop_ends_it()
    {
        using var stop = new CancellationTokenSource();
        using var lines = new Lines();
        using var error = new StringWriter();
        using var nothing = new StringReader("");
        var serving = Task.Run(() => CommandLine.Run(["serve", "--model", Fixtures.Model("gpt2"), "--port", "0", "--name", "tiny"], new Terminal(nothing, lines, error) { Stop = stop.Token }, added: OwnCommands.All), TestContext.Current.CancellationToken);
        var first = await await Task.WhenAny(lines.First, serving.ContinueWith(_ => error.ToString(), TaskScheduler.Default));
        Assert.StartsWith("listening on http://127.0.0.1:", first, StringComparison.Ordinal);
        using var client = new HttpClient();
        var models = JsonNode.Parse(await client.GetStringAsync(new Uri($"{first["listening on ".Length..]}/v1/models"), TestContext.Current.CancellationToken))!;
        Assert.Equal("tiny", (string)models["data"]![0]!["id"]!);
        await stop.CancelAsync();
        Assert.Equal((ExitCode.Ok, ""), (await serving, error.ToString()));
    }

    [Fact]
    public void A_signal_ends_it_in_its_own_words()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "sends signals by the kill command");
        int port;
        using (var free = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0))
        {
            free.Start();
            port = ((System.Net.IPEndPoint)free.LocalEndpoint).Port;
        }

        using var serving = RunningProcess.Rlgf("serve", "--model", Fixtures.Model("gpt2"), "--port", port.ToString(System.Globalization.CultureInfo.InvariantCulture));
        serving.WaitFor(() => Answers(port));
        serving.Signal("-TERM");
        var (code, _, error) = serving.Finish();
        Assert.Equal(ExitCode.Ok, code);
        Assert.Equal("stopping to serve, answers that are not whole are given up; press Ctrl-C again to stop at once", error.Trim());

        static bool Answers(int port)
        {
            try
            {
                using var client = new System.Net.Sockets.TcpClient();
                client.Connect(System.Net.IPAddress.Loopback, port);
                return true;
            }
            catch (System.Net.Sockets.SocketException)
            {
                return false;
            }
        }
    }

    [Fact]
    public void A_model_without_a_tokenizer_is_told_how_to_get_one()
    {
        var said = Cli.Run("serve", "--model", Asset("guide"), "--port", "0").OneErrorLine(ExitCode.Failed);
        Assert.Contains($"{Asset("guide")}: there is no tokenizer with the model", said, StringComparison.Ordinal);
        Assert.Contains("--tokenizer", said, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("no-such-folder", new string[0], ExitCode.Failed, "no-such-folder")]
    [InlineData(null, new[] { "--host", "0.0.0.0" }, ExitCode.Failed, "--key-from")]
    [InlineData(null, new[] { "--host", "example" }, ExitCode.Failed, "no address")]
    [InlineData(null, new[] { "--name", "" }, ExitCode.WrongUse, "--name is empty")]
    [InlineData(null, new[] { "--key-from", "RLGF_TEST_NO_SUCH_VARIABLE" }, ExitCode.WrongUse, "RLGF_TEST_NO_SUCH_VARIABLE")]
    [InlineData(null, new[] { "--port", "70000" }, ExitCode.WrongUse, "--port 70000")]
    [InlineData(null, new[] { "--batch-rows", "0" }, ExitCode.WrongUse, "--batch-rows 0")]
    [InlineData(null, new[] { "--adapters", "no-such-folder" }, ExitCode.Failed, "no-such-folder")]
    public void What_can_not_be_served_is_one_line(string? model, string[] options, int code, string said) =>
        Assert.Contains(said, Cli.Run(["serve", "--model", model ?? Fixtures.Model("gpt2"), .. options.Contains("--port") ? (string[])[] : ["--port", "0"], .. options]).OneErrorLine(code), StringComparison.Ordinal);

    [Fact]
    public async Task A_run_whose_guide_is_a_served_model_equals_the_run_whose_guide_is_the_model()
    {
        using var scratch = new Scratch();
        using var model = TextModel.Load(Asset("guide"), Asset("policy"));
        await using var server = await ModelServer.StartAsync(model, new ServerSettings { Port = 0, TokenizerFolder = Asset("policy") }, TestContext.Current.CancellationToken);

        var local = Run(scratch, "local", "kind: model", $"path: {Asset("guide")}", $"tokenizer: {Asset("policy")}", "sampling: {greedy: true, max_new_tokens: 8}");
        var served = Run(scratch, "served", "kind: openai", $"endpoint: {server.Address}/v1", "model: guide", "mode: completion", "sampling: {temperature: 0}");

        Assert.NotEmpty(local);
        // In two processes they are equal to the last digit; here the server's steps change for a moment how this process computes products.
        Assert.Equal(local.Select(number => number.Name), served.Select(number => number.Name));
        foreach (var (one, other) in local.Zip(served)) Assert.True(Math.Abs(one.Value - other.Value) <= 1e-5 * Math.Max(1, Math.Abs(one.Value)), $"{one} {other}");
    }

    /// <summary>Every number of a run that both runs have, but for its times and what asking over the network costs.</summary>
    private static (string Name, double Value)[] Run(Scratch scratch, string name, params string[] guide)
    {
        var recipe = File.ReadAllText(Path.Combine(Repository.Root, "recipes", "quickstart", "ppo_plus_plus.yaml")).Replace("../../assets", Asset("").TrimEnd(Path.DirectorySeparatorChar), StringComparison.Ordinal);
        var (begin, end) = (recipe.IndexOf("guide:\n", StringComparison.Ordinal), recipe.IndexOf("reward:\n", StringComparison.Ordinal));
        scratch.Write($"{name}.yaml", $"{recipe[..begin]}guide:\n{string.Concat(guide.Select(line => $"  {line}\n"))}{recipe[end..]}");
        var result = Cli.Run("train", scratch[$"{name}.yaml"], "--set", $"output={scratch[name]}", "--set", "iterations=2", "--set", "rows_per_iteration=8", "--set", "update.rows_per_minibatch=4", "--set", "evaluation.every=2",
            "--set", "evaluation.prompts=6", "--set", "generation.max_new_tokens=8", "--set", "generation.min_new_tokens=0");
        Assert.True(result.Code == ExitCode.Ok, result.Error);
        // A guide that costs is not evaluated by itself.
        return
        [
            .. ((string[])["metrics.jsonl", "evaluation.jsonl"]).SelectMany(file => File.ReadLines(Path.Combine(scratch[name], file))).Select(line => JsonNode.Parse(line)!.AsObject())
                .Where(row => (string?)row["writer"] != "guide")
                .SelectMany(row => row.Where(pair => !pair.Key.StartsWith("seconds/", StringComparison.Ordinal) && !pair.Key.StartsWith("guide/", StringComparison.Ordinal)))
                .Where(pair => pair.Value?.GetValueKind() == System.Text.Json.JsonValueKind.Number).Select(pair => (pair.Key, (double)pair.Value!)),
        ];
    }

    /// <summary>A writer whose first line can be waited for.</summary>
    private sealed class Lines : StringWriter
    {
        private readonly TaskCompletionSource<string> _first = new();

        public Task<string> First => _first.Task;

        public override void WriteLine(string? value)
        {
            base.WriteLine(value);
            _first.TrySetResult(value ?? "");
        }
    }
}
