// Runs are compared number for number: other tests in the same process would set off collections, and crowd the threads that compute.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
