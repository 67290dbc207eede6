using Rlgf.Models.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace Rlgf.Models.Blocks;

/// <summary>Begins a pass through layers.</summary>
/// <param name="shared">Differentiable tensors that the layers read beside what the one before gave: the first ones of the chain, or others with the same values.</param>
/// <returns>From a layer's number and its input [B·T, D] to its output [B·T, D]. What it makes belongs to the caller's scope.</returns>
internal delegate Func<int, Tensor, Tensor> BeginLayers(IReadOnlyList<Tensor> shared);

/// <summary>
/// Layers one after another. Where activations aren't kept, the graph has only what each layer reads, and in the backward pass every layer is computed once more (Chen, Xu, Zhang, Guestrin 2016, "Training deep nets with sublinear
/// memory cost", section 4): a third more work for the layers, and memory of one layer instead of all.
/// </summary>
internal static class LayerChain
{
    /// <summary>Runs the layers.</summary>
    /// <param name="x">[B·T, D]: what the first one reads; disposed where nothing else needs it.</param>
    /// <param name="layers">How many.</param>
    /// <param name="shared">Differentiable tensors that the layers read beside that.</param>
    /// <param name="recompute">Whether activations are computed again for gradients instead of being kept. What <paramref name="begin"/> captures must then still be there in the backward pass.</param>
    /// <param name="begin">Called once, and once more in the backward pass.</param>
    /// <returns>[B·T, D].</returns>
    public static Tensor Run(Tensor x, int layers, IReadOnlyList<Tensor> shared, bool recompute, BeginLayers begin)
    {
        if (recompute && is_grad_enabled())
        {
            // Where only what is within the layers is trained nothing else would ask for their gradient.
            var input = x.requires_grad ? x : x.detach().requires_grad_(true);
            return Recomputed.apply([input, layers, begin, .. shared]);
        }

        var layer = begin(shared);
        for (var i = 0; i < layers; i++)
        {
            var next = layer(i, x);
            x.Dispose();
            x = next;
        }

        return x;
    }

    private sealed class Recomputed : autograd.SingleTensorFunction<Recomputed>
    {
        private const string Layers = "layers", Begin = "begin", Gradients = "gradients";

        public override string Name => nameof(LayerChain);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (x, layers, begin) = ((Tensor)vars[0], (int)vars[1], (BeginLayers)vars[2]);
            Tensor[] shared = [.. vars.Skip(3).Cast<Tensor>()];
            var (inputs, randoms) = (new Tensor[layers], new Tensor[layers]);
            using var scope = NewDisposeScope();
            // With a graph, of which each layer's goes at once: what is computed where gradients are off may be computed in another way.
            using var gradients = enable_grad();
            var layer = begin([.. shared.Select(tensor => tensor.detach())]);
            x = x.detach().MoveToOuterDisposeScope();
            for (var i = 0; i < layers; i++)
            {
                // An adapter's dropout must leave out the same numbers again.
                (inputs[i], randoms[i]) = (x, get_rng_state().MoveToOuterDisposeScope());
                using var inner = NewDisposeScope();
                x = layer(i, x).detach();
                inner.MoveToOuter(x);
                scope.MoveToOuter(x);
            }
            ctx.save_for_backward([.. inputs, .. randoms, .. shared]);
            ctx.save_data(Layers, layers);
            ctx.save_data(Begin, begin);
            return x;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
        {
            var (layers, begin) = ((int)ctx.get_data(Layers), (BeginLayers)ctx.get_data(Begin));
            using var scope = NewDisposeScope();
            var saved = ctx.get_saved_variables();
            Tensor[] shared = [.. saved.Skip(2 * layers).Select(tensor => tensor.detach().requires_grad_(tensor.requires_grad))];
            var gradient = grad_output;
            var random = get_rng_state();
            try
            {
                using var gradients = enable_grad();
                var layer = begin(shared);
                for (var i = layers - 1; i >= 0; i--)
                {
                    using var inner = NewDisposeScope();
                    var leaf = saved[i].detach().requires_grad_(true);
                    set_rng_state(saved[layers + i]);
                    layer(i, leaf).backward([gradient]);
                    if (i < layers - 1) gradient.Dispose();
                    gradient = leaf.grad!;
                    inner.MoveToOuter(gradient);
                }
            }
            catch (Exception exception)
            {
                Tensors.Gradients.Fail(exception);
                gradient = TensorNumbers.Filled(saved[0].shape, double.NaN, saved[0].device).to_type(saved[0].dtype);
            }
            set_rng_state(random);
            // Native code copies them after this has returned: until then something must hold them.
            Tensor[] ofShared = [.. shared.Select(tensor => tensor.requires_grad ? tensor.grad! : null!)];
            foreach (var result in (IEnumerable<Tensor?>)[gradient, .. ofShared]) if (result is not null) scope.MoveToOuter(result);
            List<Tensor> results = [gradient, null!, null!, .. ofShared];
            ctx.save_data(Gradients, results);
            return results;
        }
    }
}
