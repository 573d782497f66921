// Package symptom holds the checks for what users see: nodes and pods that are not
// Ready, Services without endpoints, names that do not resolve, as
// the objects of the API tell or as pods have tried. The other layers'
// checks explain these.
package symptom

import "github.com/kubectl-netdoctor/netdoctor/pkg/checks"

// Checks lists the package's checks.
func Checks() []*checks.Check {
	return []*checks.Check{NodeNotReady, PodNotReady, ServiceNoEndpoints, DNSServiceNoEndpoints, DNSDown, DNSProbeCluster, DNSProbeExternal, DNSDelay}
}
