package copy

// SetBatch has batches hold so many bytes; the test is not to run beside others.
func SetBatch(bytes int64) (undo func()) {
	was := batchBytes
	batchBytes = bytes
	return func() { batchBytes = was }
}
