package main

// A stand-in for what of a network plugin enforces NetworkPolicies: it reads them every half second and writes each
// node's rules as one table. Answers are let through, and so is what a node itself asks its pods (probes).

import (
	"context"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	net "k8s.io/api/networking/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/kubernetes"
)

type policies struct {
	all        []net.NetworkPolicy
	pods       []v1.Pod
	namespaces map[string]labels.Set
}

func enforcePolicies(kubeconfig, names string, nodes []string) error {
	client, err := clientOf(kubeconfig)
	if err != nil {
		return err
	}
	written := map[string]string{}
	for ; ; time.Sleep(500 * time.Millisecond) {
		p, err := readPolicies(client, names)
		if err != nil {
			fmt.Println("will be asked again:", err)
			continue
		}
		table := p.table()
		for _, node := range nodes {
			if written[node] == table {
				continue
			}
			write := exec.Command("nsenter", "--net="+node, "nft", "-f", "-")
			write.Stdin = strings.NewReader(table)
			if said, err := write.CombinedOutput(); err != nil {
				fmt.Println(node, err, string(said))
			} else {
				written[node] = table
			}
		}
	}
}

func readPolicies(client *kubernetes.Clientset, names string) (policies, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	p := policies{namespaces: map[string]labels.Set{}}
	namespaces, err := client.CoreV1().Namespaces().List(ctx, meta.ListOptions{})
	if err != nil {
		return p, err
	}
	for _, namespace := range namespaces.Items {
		p.namespaces[namespace.Name] = namespace.Labels
	}
	all, err := client.NetworkingV1().NetworkPolicies("").List(ctx, meta.ListOptions{})
	if err != nil {
		return p, err
	}
	p.all = all.Items
	pods, err := client.CoreV1().Pods("").List(ctx, meta.ListOptions{})
	if err != nil {
		return p, err
	}
	for _, pod := range pods.Items {
		alive := pod.Status.Phase == v1.PodPending || pod.Status.Phase == v1.PodRunning
		if alive && pod.Status.PodIP != "" && !pod.Spec.HostNetwork {
			p.pods = append(p.pods, pod)
		}
	}
	// Who answers for names is no pod here, and is to be found by policies that allow the usual one.
	dns := v1.Pod{}
	dns.Namespace, dns.Labels, dns.Status.PodIP = "kube-system", map[string]string{"k8s-app": "kube-dns"}, names
	dns.Spec.Containers = []v1.Container{{Ports: []v1.ContainerPort{
		{Name: "dns", Protocol: v1.ProtocolUDP, ContainerPort: 53}, {Name: "dns-tcp", ContainerPort: 53},
	}}}
	p.pods = append(p.pods, dns)
	return p, nil
}

func (p policies) table() string {
	var chains, jumps strings.Builder
	for _, pod := range p.pods {
		for _, way := range []net.PolicyType{net.PolicyTypeIngress, net.PolicyTypeEgress} {
			rules, chosen := p.rules(pod, way)
			if !chosen {
				continue
			}
			chain := strings.ToLower(string(way)) + "_" + strings.ReplaceAll(pod.Status.PodIP, ".", "_")
			side := map[net.PolicyType]string{net.PolicyTypeIngress: "daddr", net.PolicyTypeEgress: "saddr"}[way]
			fmt.Fprintf(&chains, "chain %s {\n%scounter drop\n}\n", chain, rules)
			fmt.Fprintf(&jumps, "ip %s %s jump %s\n", side, pod.Status.PodIP, chain)
		}
	}
	return "table inet policies\ndelete table inet policies\ntable inet policies {\n" + chains.String() +
		"chain forward {\ntype filter hook forward priority 10; policy accept;\n" +
		"ct state established,related accept\n" + jumps.String() + "}\n}\n"
}

// What the policies that choose a pod let through, and whether there is one.
func (p policies) rules(pod v1.Pod, way net.PolicyType) (string, bool) {
	var rules strings.Builder
	chosen := false
	for _, policy := range p.all {
		if policy.Namespace != pod.Namespace || !matches(&policy.Spec.PodSelector, pod.Labels) ||
			!slices.Contains(policy.Spec.PolicyTypes, way) {
			continue
		}
		chosen = true
		if way == net.PolicyTypeIngress {
			for _, rule := range policy.Spec.Ingress {
				p.rule(&rules, policy.Namespace, "saddr", rule.From, rule.Ports, []v1.Pod{pod})
			}
		} else {
			for _, rule := range policy.Spec.Egress {
				p.rule(&rules, policy.Namespace, "daddr", rule.To, rule.Ports, p.pods)
			}
		}
	}
	return rules.String(), chosen
}

func (p policies) rule(to *strings.Builder, namespace, side string, peers []net.NetworkPolicyPeer, ports []net.NetworkPolicyPort, named []v1.Pod) {
	for _, port := range portsOf(ports, named) {
		if len(peers) == 0 {
			fmt.Fprintf(to, "%sreturn\n", port)
		}
		for _, peer := range peers {
			if block := peer.IPBlock; block != nil {
				except := ""
				if len(block.Except) > 0 {
					except = fmt.Sprintf("ip %s != { %s } ", side, strings.Join(block.Except, ", "))
				}
				fmt.Fprintf(to, "ip %s %s %s%sreturn\n", side, block.CIDR, except, port)
			} else if found := p.addresses(namespace, peer); len(found) > 0 {
				fmt.Fprintf(to, "ip %s { %s } %sreturn\n", side, strings.Join(found, ", "), port)
			}
		}
	}
}

func (p policies) addresses(namespace string, peer net.NetworkPolicyPeer) []string {
	var found []string
	for _, pod := range p.pods {
		there := pod.Namespace == namespace
		if peer.NamespaceSelector != nil {
			there = matches(peer.NamespaceSelector, p.namespaces[pod.Namespace])
		}
		if there && (peer.PodSelector == nil || matches(peer.PodSelector, pod.Labels)) {
			found = append(found, pod.Status.PodIP)
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func portsOf(ports []net.NetworkPolicyPort, named []v1.Pod) []string {
	if len(ports) == 0 {
		return []string{""}
	}
	var found []string
	for _, port := range ports {
		protocol := "tcp"
		if port.Protocol != nil {
			protocol = strings.ToLower(string(*port.Protocol))
		}
		switch {
		case port.Port == nil:
			found = append(found, "meta l4proto "+protocol+" ")
		case port.EndPort != nil:
			found = append(found, fmt.Sprintf("%s dport %d-%d ", protocol, port.Port.IntVal, *port.EndPort))
		case port.Port.StrVal == "":
			found = append(found, fmt.Sprintf("%s dport %d ", protocol, port.Port.IntVal))
		default:
			for _, pod := range named {
				for _, container := range pod.Spec.Containers {
					for _, one := range container.Ports {
						if one.Name == port.Port.StrVal && (one.Protocol == "" || strings.EqualFold(string(one.Protocol), protocol)) {
							found = append(found, fmt.Sprintf("%s dport %d ", protocol, one.ContainerPort))
						}
					}
				}
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func matches(selector *meta.LabelSelector, of map[string]string) bool {
	parsed, err := meta.LabelSelectorAsSelector(selector)
	return err == nil && parsed.Matches(labels.Set(of))
}
