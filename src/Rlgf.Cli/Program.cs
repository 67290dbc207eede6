using Rlgf.App;
using Rlgf.Cli;

var builder = RlgfApp.CreateBuilder(args);
builder.Program = "rlgf";
PackagedGuides.AddTo(builder.Guides);
builder.Commands = OwnCommands.All;
return await builder.Build().RunAsync();
