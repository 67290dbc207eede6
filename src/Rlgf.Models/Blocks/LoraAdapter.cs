using Rlgf.Models.Tensors;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>What is added to one map: y + s · B A x, with A narrow to r and B wide again (Hu et al. 2022, section 4.1). The map registers the two instead of this, as PEFT names them.</summary>
internal sealed class LoraAdapter : nn.Module, IAdapter
{
    private readonly Factor _down;
    private readonly Factor _up;
    private readonly double _scaling;

    public LoraAdapter(LoraConfiguration configuration, LoraSize size, int inputs, int outputs, Device device) : base(nameof(LoraAdapter))
    {
        Configuration = configuration;
        _scaling = size.Scaling;
        _down = new Factor(size.Rank, inputs, device);
        _up = new Factor(outputs, size.Rank, device);
    }

    public LoraConfiguration Configuration { get; }

    /// <summary>A and B under PEFT's names.</summary>
    public IEnumerable<(string Name, nn.Module Module)> Named() => [("lora_A", _down), ("lora_B", _up)];

    /// <summary>Adds to what the map made of its input, in place.</summary>
    /// <param name="y">[…, out]: A x + b of the map itself.</param>
    /// <param name="x">[…, in].</param>
    public Tensor AddTo(Tensor y, Tensor x)
    {
        using var scope = NewDisposeScope();
        // The product is as wide as y, what is between only r: that is the cheaper place for the factor.
        var input = _down.training && Configuration.Dropout > 0 ? nn.functional.dropout(x, Configuration.Dropout) : x;
        var narrow = _down.Product.Multiply(input, null);
        if (_scaling != 1) narrow = narrow.Multiply((float)_scaling);
        return y.AddInPlace(_up.Product.Multiply(narrow, null));
    }

    /// <summary>s · B A: [out, in] float32.</summary>
    public Tensor Product() => Outputs(0, _up.Weight.shape[0]);

    /// <summary>Its rows of some outputs: [count, in] float32.</summary>
    public Tensor Outputs(long first, long count) => _up.Weight.narrow(0, first, count).matmul(_down.Weight).MultiplyInPlace(_scaling);

    /// <summary>Its columns of some inputs: [out, count] float32.</summary>
    public Tensor Inputs(long first, long count) => _up.Weight.matmul(_down.Weight.narrow(1, first, count)).MultiplyInPlace(_scaling);

    /// <summary>A as linear maps begin elsewhere, B zero: before it learns, an adapter adds nothing.</summary>
    public void Initialise(Generator random)
    {
        using var gradients = no_grad();
        var bound = 1 / Math.Sqrt(_down.Weight.size(1));
        _down.Weight.uniform_(-bound, bound, random);
        _up.Weight.Fill(0);
    }

    private sealed class Factor : nn.Module
    {
        public Factor(int outputs, int inputs, Device device) : base(nameof(Factor))
        {
            Weight = Weights.Parameter([outputs, inputs], device);
            register_parameter("weight", Weight);
            Product = new ProductWeight(Weight);
            // Training with dropout is something that a loop asks for.
            eval();
        }

        public Parameter Weight { get; }

        public ProductWeight Product { get; }

        protected override void Dispose(bool disposing)
        {
            if (disposing) Product.Dispose();
            base.Dispose(disposing);
        }
    }
}
