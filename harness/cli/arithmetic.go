package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"bittern/accel/kernels/isa"
	"bittern/harness/experiment"
	"bittern/harness/suite"
	"bittern/plugins/model"
)

// arithmeticFlag adds the flag that replaces the arithmetic of training.
func arithmeticFlag(command *cobra.Command) {
	command.Flags().String("arithmetic", "", fmt.Sprintf("what the matrix products of training compute with, %s, %s or %s; empty is what the suite says", suite.Auto, model.Float32, model.BFloat16))
	offer(command, "arithmetic", suite.Auto, model.Float32, model.BFloat16)
}

// tellSlowProducts says so if experiments train with an arithmetic that this machine has no fast
// kernel for.
func (p *program) tellSlowProducts(specs []*experiment.Spec) {
	rounds := func(s *experiment.Spec) bool { return s.Task.Training.Arithmetic == model.BFloat16 }
	if level := isa.BFloat16(); level < isa.AVX2 && slices.ContainsFunc(specs, rounds) {
		fmt.Fprintf(p.stderr, "this machine (instruction set %s) computes products of %s in plain Go, some hundred times slower than those of %s; use a machine with AVX2 for more than a few steps\n", level, model.BFloat16, model.Float32)
	}
}
