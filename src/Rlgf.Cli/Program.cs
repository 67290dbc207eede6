return await Rlgf.App.RlgfApp.CreateBuilder(args).Build().RunAsync();
