// One test at a time: operations use all cores by themselves, and counts of live tensors are those of the whole process.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
