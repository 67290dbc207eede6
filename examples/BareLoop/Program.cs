// The loop alone, without recipes, checkpoints and reports: a model is tuned with a reward and a guide that are C# functions.
// dotnet run -c Release --project examples/BareLoop -- assets/policy 20 tuned
using Rlgf.Algorithms;
using Rlgf.Guides;
using Rlgf.Models;
using Rlgf.Models.Generation;
using Rlgf.Models.Loading;
using Rlgf.Prompts;
using Rlgf.Rewards;
using Rlgf.Runs;
using Rlgf.Training;

// The process does nothing else: memory, waiting threads and matrix products may be set up for it.
TorchRuntime.TuneProcess();
using var policy = TextModel.Load(args[0]);
using var reference = policy.Model.Clone();

string[] openings = ["I saw this film", "The director has", "My sister and I went", "There is one scene"];
var setup = new TrainingSetup
{
    Policy = policy.Model,
    Reference = reference,
    Tokenizer = policy.Tokenizer,
    Prompts = [.. openings.Select(text => new Prompt(text, policy.Tokenizer.Encode(text)))],
    Sampling = new SamplingSettings { MaxNewTokens = 16, EndTokens = policy.EndTokens },
    Reward = new FunctionReward("enthusiasm", response => response.Text.Count(c => c == '!') + (response.Text.Contains("love") ? 1 : 0)),
    Guide = new FunctionGuide("a friend", request => new GuideContinuation(" and I love it! What a wonderful story, so well told!", Ended: true)),
    Algorithm = Presets.Adaptive(),
    Kl = new KlSettings { Coefficient = 0.02 },
    Update = new UpdateSettings { LearningRate = 3e-4, CriticLearningRate = 1e-3, Epochs = 2, RowsPerMinibatch = 16, WhitenAdvantages = true },
    Iterations = int.Parse(args[1], System.Globalization.CultureInfo.InvariantCulture),
    RowsPerIteration = 32,
};

using var training = new GuidedTraining(setup, new TrainingSchedule(), new ConsoleLog(Console.Out));
training.Run(store: null, resume: false, CancellationToken.None);
LanguageModelFolder.Save(policy.Model, args[2]);
policy.Tokenizer.Save(args[2]);
