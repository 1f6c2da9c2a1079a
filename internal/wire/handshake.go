package wire

import (
	"context"

	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"bittern/plugins"
)

// Handshake is what host and plugin must agree on before they speak. The cookie tells a user who
// starts a plugin by hand that it is a plugin; it protects nothing.
var Handshake = plugin.HandshakeConfig{
	ProtocolVersion:  plugins.APIVersion,
	MagicCookieKey:   "BITTERN_PLUGIN",
	MagicCookieValue: "a bittern booms in the reeds",
}

// Service is the name that go-plugin dispenses a plugin by. There is one, since an executable
// serves one plugin.
const Service = "plugin"

// Plugin makes a plugin kind known to go-plugin. The plugin's side registers its service; the
// host's side gets the connection.
type Plugin struct {
	plugin.NetRPCUnsupportedPlugin
	Register func(grpc.ServiceRegistrar)
}

// GRPCServer registers the service.
func (p *Plugin) GRPCServer(_ *plugin.GRPCBroker, server *grpc.Server) error {
	p.Register(server)
	return nil
}

// GRPCClient returns the connection, a grpc.ClientConnInterface.
func (p *Plugin) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return conn, nil
}
