package agent

// HostOptions says where a host is to be found.
type HostOptions struct {
	Node string // its name in the cluster

	// Root is where files of the host are mounted, each directory below its own path:
	// "/host", with "/host/etc" and so on. What is not mounted becomes a gap where it
	// is needed.
	Root string

	// Proc and Sys are the file systems of the process itself, "/proc" and "/sys": what
	// the kernel says of the network stands there if the process shares the host's
	// network namespace.
	Proc, Sys string

	// ResolvConf names further files with nameservers, such as those that a kubelet's
	// configuration names which lies where it is not mounted.
	ResolvConf []string
}

// withDefaults fills in what a pod has that was made for this.
func (o HostOptions) withDefaults() HostOptions {
	for at, path := range map[*string]string{&o.Root: "/host", &o.Proc: "/proc", &o.Sys: "/sys"} {
		if *at == "" {
			*at = path
		}
	}
	return o
}
