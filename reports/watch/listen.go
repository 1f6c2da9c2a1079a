package watch

import (
	"errors"
	"net"
	"syscall"

	"bittern/plugins"
)

// Listen listens on a TCP address such as 127.0.0.1:8080; port 0 is any free port. The error is
// a [*plugins.Problem] if other machines could reach the address, if it is in use, or if it
// cannot be listened on.
func Listen(address string) (net.Listener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, plugins.Problemf("%q is no address to serve on (%s); give a loopback address and a port, such as 127.0.0.1:8080", address, err)
	}
	if !resolved.IP.IsLoopback() {
		return nil, plugins.Problemf("the address %q can be reached from other machines, and the page is for this one alone; use 127.0.0.1, as in --address 127.0.0.1:8080, and a tunnel such as ssh -L to look at it from elsewhere", address)
	}
	listener, err := net.ListenTCP("tcp", resolved)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, plugins.Problemf("the address %s is in use by another program; give another port with --address, or port 0 for any that is free", resolved)
	case err != nil:
		return nil, plugins.Problemf("the address %s cannot be served on (%s); give another with --address", resolved, err)
	}
	return listener, nil
}
