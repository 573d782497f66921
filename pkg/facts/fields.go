package facts

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/kubectl-netdoctor/netdoctor/pkg/wire"
)

// The numbers are those of generated.proto in k8s.io/api and k8s.io/apimachinery; they
// never change.

type numbers = map[protowire.Number]*wire.Fields

func only(of numbers) *wire.Fields { return &wire.Fields{Only: of} }

var (
	// metadata without managedFields, which are a third of an object.
	metadata = &wire.Fields{Without: numbers{17: nil}}

	// name, namespace, uid, creationTimestamp, deletionTimestamp, labels, the annotation of
	// static pods, ownerReferences
	podMetadata = only(numbers{1: nil, 3: nil, 5: nil, 8: nil, 9: nil, 11: nil, 12: {Key: staticPodAnnotation}, 13: nil})
	// name, image, command, args, ports, securityContext, restartPolicy
	podContainer = only(numbers{1: nil, 2: nil, 3: nil, 4: nil, 6: nil, 15: nil, 24: nil})
	// of a volume: its ConfigMap
	podVolume = only(numbers{2: only(numbers{19: nil})})
	// name, state, lastState, ready, restartCount
	podContainerStatus = only(numbers{1: nil, 2: nil, 3: nil, 4: nil, 5: nil})

	podFields = only(numbers{
		1: podMetadata,
		// volumes, containers, dnsPolicy, nodeSelector, serviceAccountName, nodeName, hostNetwork,
		// subdomain, initContainers, tolerations, dnsConfig
		2: only(numbers{1: podVolume, 2: podContainer, 6: nil, 7: nil, 8: nil, 10: nil, 11: nil, 17: nil, 20: podContainer, 22: nil, 26: nil}),
		// phase, conditions, podIP, containerStatuses, initContainerStatuses, podIPs
		3: only(numbers{1: nil, 2: nil, 6: nil, 8: podContainerStatus, 10: podContainerStatus, 12: nil}),
	})
	nodeFields = &wire.Fields{Without: numbers{
		1: metadata,
		// capacity, allocatable, images, volumesInUse, volumesAttached
		3: {Without: numbers{1: nil, 2: nil, 8: nil, 9: nil, 10: nil}},
	}}
	// name, namespace, labels
	sliceMetadata = only(numbers{1: nil, 3: nil, 11: nil})
	// of an endpoint: addresses, conditions, targetRef's kind and name, nodeName
	sliceFields = only(numbers{1: sliceMetadata, 2: only(numbers{1: nil, 2: nil, 4: only(numbers{1: nil, 3: nil}), 6: nil}), 3: nil})
	// replicas, selector, serviceName; of the template the labels
	statefulSetFields = only(numbers{1: metadata, 2: only(numbers{1: nil, 2: nil, 3: only(numbers{1: only(numbers{11: nil})}), 5: nil})})
	wholeFields       = &wire.Fields{Without: numbers{1: metadata}}
)

// Fields returns what of a source's objects a Batch keeps; the rest need not be decoded.
func Fields(src *Source) *wire.Fields {
	switch src {
	case Pods:
		return podFields
	case Nodes:
		return nodeFields
	case EndpointSlices:
		return sliceFields
	case StatefulSets:
		return statefulSetFields
	}
	return wholeFields
}
