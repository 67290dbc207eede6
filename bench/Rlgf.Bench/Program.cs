using System.Globalization;
using Rlgf.Algorithms;
using Rlgf.Base;
using Rlgf.Bench;
using Rlgf.Models;
using Rlgf.Models.Loading;
using Rlgf.Models.NumberTypes;
using Rlgf.Runs;

const string usage = """
    Measures generation, supervised steps and whole iterations on models with random weights, beside the machine's own matrix products.

    dotnet run -c Release --project bench/Rlgf.Bench -- [options]

      --shape NAME        S, gpt2-28, gpt2-112, gpt2 for both, llama-100m or t5-small; several separated by commas (default: all)
      --algorithms NAMES  separated by commas, or none (default: the paper's five, adaptive, rloo)
      --repeats N         of generation and of supervised steps; medians are given (default: 3)
      --threads N         of one operation (default: all cores)
      --clock WHICH       day, or processor: the time that one thread was at work, where others use the machine too
                          (generation and supervised steps; iterations go by the day) (default: day)
      --output FILE       figures as JSON

    Or, in place of all that, how long a model takes to load:

      --load DIR          a language model's folder

    Or decoding steps with packed weights and fused operations, in turns with the same without:

      --decoding WHICH    a language model's folder, or a shape (also t5-small)
      --rows COUNTS       separated by commas (default: 1,8,32,128)
      --types NAMES       of the weights, separated by commas (default: float32,bfloat16)

    Or complete rows read in one padded pass, and in passes of like length with the prompts of groups read once, in turns:

      --reading WHICH     a language model's folder, or a shape
      --types NAMES       as above (default: float32,bfloat16)

    Or how many tokens the layers read in an iteration, beside how many the mathematics needs:

      --passes NAMES      of algorithms, separated by commas

    Or what a supervised step takes, memory above all, with all logits at once and in parts, with activations kept and computed again:

      --step-memory WHICH a shape (also vocabulary-128k), or a language model's folder, on 32 rows of 64 tokens
      --lora yes          an adapter is trained rather than all weights
      --ways NUMBERS      1 all logits at once, 2 in parts, 3 and 4 the same with activations computed again; separated by commas (default: all)

    Or a step of a LoRA adapter on a base in float32 and in bfloat16, in turns, and how far the two are apart:

      --base DIR          a language model's folder
      --texts FILE        rows with a column "text", of which the first 16 are taken

    Or how fast tokenizers are on one thread:

      --tokenizers DIR    a tokenizer's folder, or a folder of such
      --texts FILE        rows with a column "text", of which the first 2,000 are taken

    Or how many rows a second the metrics of texts score on one thread:

      --metrics FILE      rows {"text", "references"}

    Or whether a server keeps its word under 64 clients that come and go:

      --serving DIR       a language model's folder
      --minutes N         how long (default: 10)

    Or what an iteration waits for a guide whose calls take long, from the project's folder:

      --guide-ms N        milliseconds of a call, such as 300

    """;

try
{
    var options = Options.Parse(args);
    if (options is null)
    {
        Console.Write(usage);
        return 0;
    }

    TorchRuntime.TuneProcess();
    Clock.CountsProcessorTime = options.ProcessorTime;
    if (options.Tokenizers is { } tokenizers)
    {
        TokenizerBenchmark.Run(tokenizers, options.Texts ?? throw new InputException("--tokenizers needs --texts; see --help."), options.Repeats);
        return 0;
    }

    if (options.Metrics is { } metrics)
    {
        MetricsBenchmark.Run(metrics, options.Repeats);
        return 0;
    }

    if (options.Serving is { } served)
    {
        TorchRuntime.Load(options.Threads);
        await ServingBenchmark.RunAsync(served, options.Minutes);
        return 0;
    }

    if (options.GuideMilliseconds is { } milliseconds)
    {
        TorchRuntime.Load(options.Threads);
        GuideBenchmark.Run(milliseconds, options.Repeats);
        return 0;
    }

    if (options.Decoding is { } written)
    {
        TorchRuntime.Load(options.ProcessorTime ? 1 : options.Threads);
        DecodingBenchmark.Run(written, options.Rows, options.Types, options.Repeats, options.Output);
        return 0;
    }

    if (options.Reading is { } read)
    {
        TorchRuntime.Load(options.ProcessorTime ? 1 : options.Threads);
        ReadingBenchmark.Run(read, options.Types, options.Repeats, options.Output);
        return 0;
    }

    if (options.Passes is { } counted)
    {
        TorchRuntime.Load(options.Threads);
        PassesBenchmark.Run(counted);
        return 0;
    }

    if (options.StepMemory is { } stepped)
    {
        TorchRuntime.Load(options.ProcessorTime ? 1 : options.Threads);
        StepMemoryBenchmark.Run(stepped, options.Lora, options.Ways, options.Repeats, options.Output);
        return 0;
    }

    if (options.Base is { } adapted)
    {
        TorchRuntime.Load(options.ProcessorTime ? 1 : options.Threads);
        BaseBenchmark.Run(adapted, options.Texts ?? throw new InputException("--base needs --texts; see --help."), options.Repeats, options.Output);
        return 0;
    }

    if (options.Load is { } folder)
    {
        LoadBenchmark.Run(folder, options.Repeats);
        return 0;
    }

    TorchRuntime.Load(options.ProcessorTime ? 1 : options.Threads);
    var environment = RunEnvironment.Capture();
    Console.WriteLine($"{environment.Processor}, {environment.LogicalCores} cores, {environment.Threads} threads, libtorch {environment.Libtorch}, products {environment.MatmulPrecision}, {(options.ProcessorTime ? "processor time" : "time of day")}");
    var figures = new List<WorkloadFigures>();
    IReadOnlyList<EncoderDecoderFigures> encoderDecoders = [];
    foreach (var workload in options.Workloads)
    {
        figures.Add(Benchmarks.Run(workload, options));
        Console.Write(BenchmarkReport.ToText(figures[^1]));
        // Written after each workload, so that a run which is stopped leaves what it has.
        Write();
    }

    if (options.EncoderDecoder)
    {
        encoderDecoders = EncoderDecoderBenchmark.Run(options.Repeats);
        Console.Write(BenchmarkReport.ToText(encoderDecoders));
        Write();
    }

    void Write()
    {
        if (options.Output is { } path) File.WriteAllText(path, new BenchmarkReport(environment, figures, encoderDecoders).ToJson());
    }

    return 0;
}
catch (InputException exception)
{
    Console.Error.WriteLine(exception.Message);
    return 2;
}

namespace Rlgf.Bench
{
    /// <summary>What was asked for.</summary>
    internal sealed record Options(IReadOnlyList<Workload> Workloads, IReadOnlyList<string> Algorithms, int Repeats, int? Threads, bool ProcessorTime, string? Output)
    {
        /// <summary>Whether the encoder–decoder is measured.</summary>
        public bool EncoderDecoder { get; init; } = true;

        /// <summary>Folder of a model whose loading is measured in place of all else.</summary>
        public string? Load { get; init; }

        /// <summary>Folder or shape of a model whose decoding is measured with packed weights and without, in place of all else.</summary>
        public string? Decoding { get; init; }

        /// <summary>Folder or shape of a model whose reading of complete rows is measured, in place of all else.</summary>
        public string? Reading { get; init; }

        /// <summary>Algorithms whose iterations' tokens are counted, in place of all else.</summary>
        public IReadOnlyList<string>? Passes { get; init; }

        /// <summary>Folder or shape of a model whose supervised steps are measured in several ways, in place of all else.</summary>
        public string? StepMemory { get; init; }

        /// <summary>Which of those ways; empty for all.</summary>
        public IReadOnlyList<int> Ways { get; init; } = [];

        /// <summary>Whether an adapter is trained there.</summary>
        public bool Lora { get; init; }

        /// <summary>Rows that decoding is measured with.</summary>
        public IReadOnlyList<int> Rows { get; init; } = [1, 8, 32, 128];

        /// <summary>Types of weights that decoding is measured with.</summary>
        public IReadOnlyList<Precision> Types { get; init; } = [Precision.Float32, Precision.Bfloat16];

        /// <summary>Folder of a model whose adapter is trained on a base of either type, in place of all else.</summary>
        public string? Base { get; init; }

        /// <summary>Folder of tokenizers to measure in place of models.</summary>
        public string? Tokenizers { get; init; }

        /// <summary>Texts to measure them on.</summary>
        public string? Texts { get; init; }

        /// <summary>Texts and references to measure metrics on in place of models.</summary>
        public string? Metrics { get; init; }

        /// <summary>Folder of a model that is served in place of all else.</summary>
        public string? Serving { get; init; }

        /// <summary>How long a guide takes for a call, where that is measured in place of all else.</summary>
        public int? GuideMilliseconds { get; init; }

        /// <summary>How long it is served.</summary>
        public int Minutes { get; init; } = 10;

        private static readonly string[] Defaults = ["ppo", "ppo_plus_plus", "aggrevated", "lols", "d2lols", "adaptive", "rloo"];

        /// <summary>Reads the arguments; null where help is asked for.</summary>
        public static Options? Parse(string[] arguments)
        {
            var options = new Options(Workload.All, Defaults, 3, null, false, null);
            for (var i = 0; i < arguments.Length; i += 2)
            {
                if (arguments[i] is "--help" or "-h") return null;
                var value = i + 1 < arguments.Length ? arguments[i + 1] : throw new InputException($"{arguments[i]} needs a value; see --help.");
                options = arguments[i] switch
                {
                    "--shape" => options with
                    {
                        Workloads = [.. value.Split(',').Where(name => name != EncoderDecoderBenchmark.Name).SelectMany(WorkloadsNamed)],
                        EncoderDecoder = value.Split(',').Contains(EncoderDecoderBenchmark.Name),
                    },
                    "--decoding" => options with { Decoding = value },
                    "--reading" => options with { Reading = value },
                    "--passes" => options with { Passes = [.. value.Split(',').Select(Known)] },
                    "--step-memory" => options with { StepMemory = value },
                    "--ways" => options with { Ways = [.. value.Split(',').Select(way => Count(arguments[i], way) is <= 4 and var one ? one : throw new InputException($"--ways is '{value}': they are numbered 1 to 4."))] },
                    "--lora" => options with { Lora = value == "yes" ? true : throw new InputException($"--lora is '{value}': it must be yes, or be left out.") },
                    "--rows" => options with { Rows = [.. value.Split(',').Select(count => Count("--rows", count))] },
                    "--types" => options with
                    {
                        Types = [.. value.Split(',').Select(name => name switch
                        {
                            "float32" => Precision.Float32,
                            "bfloat16" => Precision.Bfloat16,
                            _ => throw new InputException($"--types has '{name}': there are float32 and bfloat16."),
                        })],
                    },
                    "--base" => options with { Base = value },
                    "--load" => options with { Load = value },
                    "--algorithms" => options with { Algorithms = value == "none" ? [] : [.. value.Split(',').Select(Known)] },
                    "--repeats" => options with { Repeats = Count(arguments[i], value) },
                    "--threads" => options with { Threads = Count(arguments[i], value) },
                    "--clock" => options with { ProcessorTime = value switch { "day" => false, "processor" => true, _ => throw new InputException($"--clock is '{value}': it must be day or processor.") } },
                    "--output" => options with { Output = value },
                    "--tokenizers" => options with { Tokenizers = value },
                    "--texts" => options with { Texts = value },
                    "--serving" => options with { Serving = value },
                    "--guide-ms" => options with { GuideMilliseconds = Count(arguments[i], value) },
                    "--minutes" => options with { Minutes = Count(arguments[i], value) },
                    "--metrics" => options with { Metrics = value },
                    _ => throw new InputException($"There is no option {arguments[i]}; see --help."),
                };
            }

            return options;
        }

        private static IReadOnlyList<Workload> WorkloadsNamed(string name) =>
            Workload.Named(name) is { Count: > 0 } found ? found : throw new InputException($"There is no shape '{name}': there are {string.Join(", ", Workload.All.Select(workload => workload.Name))}.");

        private static string Known(string name) =>
            Presets.Names.Contains(name) ? name : throw new InputException($"There is no algorithm '{name}': there are {string.Join(", ", Presets.Names)}.");

        private static int Count(string option, string value) =>
            int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count > 0 ? count : throw new InputException($"{option} is '{value}': it must be a whole number above 0.");
    }

    internal static class Benchmarks
    {
        /// <summary>Runs all benchmarks of a workload.</summary>
        public static WorkloadFigures Run(Workload workload, Options options)
        {
            var minibatchTokens = (long)workload.MinibatchRows * (workload.PromptTokens + workload.ResponseTokens);
            var rates = new ProductRates(
                MatrixProducts.Rate(1024, 1024, 1024),
                MatrixProducts.Rate(minibatchTokens, workload.Width, 4 * workload.Width),
                MatrixProducts.Rate(workload.Rows, workload.Width, 4 * workload.Width));
            using var policy = workload.NewModel(seed: 1);
            GenerationFigures[] generation =
            [
                GenerationBenchmark.Run(workload, policy, "plain", settings => settings, options.Repeats),
                GenerationBenchmark.Run(workload, policy, "top-k 50", settings => settings with { TopK = 50 }, options.Repeats),
                GenerationBenchmark.Run(workload, policy, "greedy", settings => settings with { Greedy = true }, options.Repeats),
            ];
            var supervised = SupervisedBenchmark.Run(workload, policy, rates.Training, options.Repeats);
            using var reference = policy.Clone();
            using var guide = workload.NewModel(seed: 2);
            using var classifier = SequenceClassifierFolder.FromLanguageModel(guide, ["bad", "good"], padId: null, seed: 3);
            var models = new IterationModels(policy, reference, guide, classifier);
            var iterations = options.Algorithms.Select(algorithm => IterationBenchmark.Run(workload, models, algorithm, rates.Training)).ToArray();
            return new WorkloadFigures(workload, rates, generation, supervised, iterations);
        }
    }
}
