package emit

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// TestEncodings compares the words of all vector instructions with those that GNU's assembler
// makes of their comments.
func TestEncodings(t *testing.T) {
	t.Parallel()
	assembler, err := exec.LookPath("aarch64-linux-gnu-as")
	if err != nil {
		t.Skip("skipped: there is no assembler for arm64; install one (on Debian: apt-get install binutils-aarch64-linux-gnu)")
	}
	registers := []operand.Op{reg.Z1, reg.Z18, reg.Z31}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(armVectors)) {
		text := armVectors[name].text
		operands := slices.Clone(registers)
		if name == "tbl4" {
			operands[1] = table[0]
		}
		line, _ := encode(name, operands[:1+strings.Count(text, ", ")-strings.Count(text, "#")])
		lines = append(lines, line)
	}
	for _, name := range slices.Sorted(maps.Keys(armShifts)) {
		for _, by := range []uint8{1, 3, 7} {
			line, _ := encode(name, []operand.Op{reg.Z1, reg.Z18, operand.U8(by)})
			lines = append(lines, line)
		}
	}
	var source strings.Builder
	for _, line := range lines {
		_, text, _ := strings.Cut(line, "// ")
		fmt.Fprintln(&source, text)
	}
	object := filepath.Join(t.TempDir(), "object")
	command := exec.Command(assembler, "-o", object, "-")
	command.Stdin = strings.NewReader(source.String())
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file, err := os.ReadFile(object)
	if err != nil {
		t.Fatal(err)
	}
	assembled, err := elf.NewFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	code, err := assembled.Section(".text").Data()
	if err != nil {
		t.Fatal(err)
	}
	if len(code) != 4*len(lines) {
		t.Fatalf("got %d bytes of code for %d instructions", len(code), len(lines))
	}
	for i, line := range lines {
		if want := fmt.Sprintf("WORD $0x%08x", binary.LittleEndian.Uint32(code[4*i:])); !strings.HasPrefix(line, want+" ") {
			t.Errorf("got %s, want %s", line, want)
		}
	}
}
