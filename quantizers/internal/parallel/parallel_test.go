package parallel

import (
	"sync/atomic"
	"testing"
)

func TestEveryPartIsTreatedOnce(t *testing.T) {
	t.Parallel()
	for _, parts := range []int{0, 1, 2, 3, 1000} {
		calls := make([]atomic.Int32, parts)
		Each(parts, func(part int) { calls[part].Add(1) })
		for part := range calls {
			if n := calls[part].Load(); n != 1 {
				t.Errorf("part %d of %d was treated %d times", part, parts, n)
			}
		}
	}
}
