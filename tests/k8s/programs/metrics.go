package main

// Stand-ins for metrics-server and a metrics adapter: what the HorizontalPodAutoscaler asks for. Use of cores and
// memory comes from the kubelets, every other metric of a pod from its own page of metrics. They check no callers.

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	stats "k8s.io/kubelet/pkg/apis/stats/v1alpha1"
	custom "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	usage "k8s.io/metrics/pkg/apis/metrics/v1beta1"
)

type metrics struct{ client *kubernetes.Clientset }

func serveMetrics(kubeconfig, listen, certificate, key string) error {
	client, err := clientOf(kubeconfig)
	if err != nil {
		return err
	}
	m := metrics{client}
	mux := http.NewServeMux()
	const (
		cores = "/apis/metrics.k8s.io/v1beta1"
		pages = "/apis/custom.metrics.k8s.io/v1beta2"
	)
	mux.HandleFunc(cores, resources("metrics.k8s.io/v1beta1", "pods", "PodMetrics"))
	mux.HandleFunc(pages, resources("custom.metrics.k8s.io/v1beta2", "pods/ting_sockets", "MetricValueList"))
	mux.HandleFunc(cores+"/pods", answer(m.usage))
	mux.HandleFunc(cores+"/namespaces/{namespace}/pods", answer(m.usage))
	mux.HandleFunc(pages+"/namespaces/{namespace}/pods/{pod}/{metric}", answer(m.custom))
	return http.ListenAndServeTLS(listen, certificate, key, mux)
}

func resources(version, name, kind string) http.HandlerFunc {
	return answer(func(*http.Request) (any, error) {
		return meta.APIResourceList{
			TypeMeta:     meta.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
			GroupVersion: version,
			APIResources: []meta.APIResource{{Name: name, Namespaced: true, Kind: kind, Verbs: meta.Verbs{"get", "list"}}},
		}, nil
	})
}

func answer(of func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := of(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(body)
	}
}

func (m metrics) pods(r *http.Request) ([]v1.Pod, error) {
	chosen := meta.ListOptions{LabelSelector: r.URL.Query().Get("labelSelector")}
	if pod := r.PathValue("pod"); pod != "" && pod != "*" {
		chosen.FieldSelector = "metadata.name=" + pod
	}
	list, err := m.client.CoreV1().Pods(r.PathValue("namespace")).List(r.Context(), chosen)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func (m metrics) usage(r *http.Request) (any, error) {
	pods, err := m.pods(r)
	if err != nil {
		return nil, err
	}
	used := map[string]stats.PodStats{}
	for _, pod := range pods {
		if node := pod.Spec.NodeName; node != "" && used["node "+node].PodRef.Name == "" {
			used["node "+node] = stats.PodStats{PodRef: stats.PodReference{Name: node}}
			m.ofNode(r.Context(), node, used)
		}
	}
	list := usage.PodMetricsList{TypeMeta: meta.TypeMeta{Kind: "PodMetricsList", APIVersion: "metrics.k8s.io/v1beta1"}}
	list.Items = []usage.PodMetrics{}
	for _, pod := range pods {
		one := usage.PodMetrics{Timestamp: meta.Now(), Window: meta.Duration{Duration: 10 * time.Second}}
		one.Name, one.Namespace, one.Labels = pod.Name, pod.Namespace, pod.Labels
		for _, c := range used[string(pod.UID)].Containers {
			if c.CPU != nil && c.CPU.UsageNanoCores != nil && c.Memory != nil && c.Memory.WorkingSetBytes != nil {
				one.Containers = append(one.Containers, usage.ContainerMetrics{Name: c.Name, Usage: v1.ResourceList{
					v1.ResourceCPU:    *resource.NewScaledQuantity(int64(*c.CPU.UsageNanoCores), resource.Nano),
					v1.ResourceMemory: *resource.NewQuantity(int64(*c.Memory.WorkingSetBytes), resource.BinarySI),
				}})
			}
		}
		if len(one.Containers) > 0 {
			list.Items = append(list.Items, one)
		}
	}
	return list, nil
}

// A node that doesn't answer has no metrics.
func (m metrics) ofNode(ctx context.Context, node string, into map[string]stats.PodStats) {
	raw, err := m.client.CoreV1().RESTClient().Get().Resource("nodes").Name(node).
		SubResource("proxy").Suffix("stats/summary").Timeout(3 * time.Second).DoRaw(ctx)
	var summary stats.Summary
	if err != nil || json.Unmarshal(raw, &summary) != nil {
		return
	}
	for _, pod := range summary.Pods {
		into[pod.PodRef.UID] = pod
	}
}

func (m metrics) custom(r *http.Request) (any, error) {
	pods, err := m.pods(r)
	if err != nil {
		return nil, err
	}
	metric := r.PathValue("metric")
	list := custom.MetricValueList{TypeMeta: meta.TypeMeta{Kind: "MetricValueList", APIVersion: "custom.metrics.k8s.io/v1beta2"}}
	list.Items = []custom.MetricValue{}
	for _, pod := range pods {
		value, err := gauge(pod, metric)
		if err != nil {
			continue // as a pod that Prometheus could not scrape
		}
		list.Items = append(list.Items, custom.MetricValue{
			DescribedObject: v1.ObjectReference{Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name},
			Metric:          custom.MetricIdentifier{Name: metric},
			Timestamp:       meta.Now(),
			Value:           *resource.NewMilliQuantity(int64(value*1000), resource.DecimalSI),
		})
	}
	return list, nil
}

// The sum over all labels of a metric on a pod's page, which is at the port that is named `admin` or `metrics`.
func gauge(pod v1.Pod, metric string) (float64, error) {
	for _, container := range pod.Spec.Containers {
		for _, port := range container.Ports {
			if port.Name != "admin" && port.Name != "metrics" {
				continue
			}
			client := http.Client{Timeout: 3 * time.Second}
			page, err := client.Get(fmt.Sprintf("http://%s:%d/metrics", pod.Status.PodIP, port.ContainerPort))
			if err != nil {
				return 0, err
			}
			defer page.Body.Close()
			sum, found := 0.0, false
			for lines := bufio.NewScanner(page.Body); lines.Scan(); {
				name, value, _ := strings.Cut(lines.Text(), " ")
				if name, _, _ = strings.Cut(name, "{"); name == metric {
					number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
					if err != nil {
						return 0, err
					}
					sum, found = sum+number, true
				}
			}
			if found {
				return sum, nil
			}
		}
	}
	return 0, fmt.Errorf("%s has no %s", pod.Name, metric)
}
