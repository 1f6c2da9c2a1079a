package cli_test

import (
	"strings"
	"testing"
)

// TestRTLOfTheUser checks that a mistake of the user in backends rtl is one sentence, and that
// nothing is run.
func TestRTLOfTheUser(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{}, "name one backend"},
		{[]string{"asic-lowpwer", "--check"}, `did you mean "asic-lowpower"?`},
		{[]string{"cpu", "--check"}, "has no machine in SystemVerilog"},
		{[]string{"asic-lowpower"}, "either --check"},
		{[]string{"asic-lowpower", "--check", "--synth", "cells.lib"}, "either --check"},
		{[]string{"asic-lowpower", "--check"}, "name an experiment"},
		{[]string{"asic-lowpower", "--check", "--format", "xml"}, "format"},
		{[]string{"asic-lowpower", "--check", "--format", "terminal"}, "format"},
		{[]string{"asic-lowpower", "--check", "--windows", "0"}, "at least 1"},
		{[]string{"asic-lowpower", "3f", "4f", "--check"}, "one ID"},
		{[]string{"asic-lowpower", "3f", "--synth", "cells.lib", "--runs", "none"}, "none"},
	} {
		stdout, stderr, code := run(t, nil, append([]string{"backends", "rtl"}, c.args...)...)
		if code != 2 || stdout != "" || !strings.Contains(stderr, c.want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("backends rtl %v: exit code %d, %q and %q; want 2 and %q", c.args, code, stdout, stderr, c.want)
		}
	}
}
