package recurrent

import (
	"bufio"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// TestNewRecord finds in the kernel's list of mappings that a large record was asked to lie in
// huge pages, from its second to its last but one, and writes to its ends.
func TestNewRecord(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil {
		t.Skip("this kernel has no huge pages: ", err)
	}
	for _, n := range []int{0, 1, hugePage/4 - 1, hugePage, hugePage/2 + 1} {
		if record := newRecord(n); len(record) != n {
			t.Errorf("a record of %d has %d elements", n, len(record))
		}
	}
	record := newRecord(4*hugePage + 5)
	record[0], record[len(record)-1] = 1, 1
	for _, i := range []int{hugePage / 4, 2 * hugePage, len(record) - hugePage/4} {
		address := uintptr(unsafe.Pointer(&record[i]))
		if flags := mappingFlags(t, address); !slices.Contains(flags, "hg") {
			t.Errorf("the mapping of element %d has the flags %v, not hg", i, flags)
		}
	}
}

// mappingFlags are those that the kernel has for the mapping of an address.
func mappingFlags(t *testing.T, address uintptr) []string {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	inside := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x ", &from, &to); n == 2 {
			inside = from <= address && address < to
		}
		if flags, found := strings.CutPrefix(lines.Text(), "VmFlags:"); found && inside {
			return strings.Fields(flags)
		}
	}
	t.Fatalf("no mapping has the address %x", address)
	return nil
}
