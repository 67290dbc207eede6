var builder = Rlgf.App.RlgfApp.CreateBuilder(args);
builder.Program = "rlgf";
return await builder.Build().RunAsync();
