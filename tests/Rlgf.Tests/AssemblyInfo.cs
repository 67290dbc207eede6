// TorchSharp does not keep a number's native Scalar alive over a call; a collection set off by another thread can free it meanwhile.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
