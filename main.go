// Bittern benchmarks quantized recurrent networks: accuracy, memory and energy
// from one run, next to the numbers that papers published.
package main

import (
	"os"

	"bittern/builtin"
	"bittern/harness/cli"
)

func main() { os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr, builtin.Plugins())) }
