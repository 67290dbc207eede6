// Tests use operators of TorchSharp that do not keep a number alive over the native call; a collection set off by another test could free it meanwhile.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
