{{/* Cut so short that the names that begin with it, a Service's too, are none that the apiserver refuses. */}}
{{- define "iamdb-operator.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 55 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 55 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 55 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "iamdb-operator.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Not managed-by=iamdb-operator: that is the mark of what the operator makes. */}}
{{- define "iamdb-operator.labels" -}}
{{ include "iamdb-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "iamdb-operator.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "iamdb-operator.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (include "iamdb-operator.name" .) -}}
{{- end -}}

{{/* Who the operator is to the apiserver. */}}
{{- define "iamdb-operator.username" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "iamdb-operator.serviceAccount" . }}
{{- end -}}

{{/* The rights in each namespace where it acts: a ClusterRole's where it acts everywhere, else Roles'. */}}
{{- define "iamdb-operator.rights" -}}
{{ .Files.Get "files/rights/namespaces.yaml" | trim }}
{{ .Files.Get "files/rights/events.yaml" | trim }}
{{- if .Values.secrets.watch }}
{{ .Files.Get "files/rights/secrets-watch.yaml" | trim }}
{{- end }}
{{- if eq .Values.tenantServiceAccounts.mode "all" }}
{{ .Files.Get "files/rights/tokens.yaml" | trim }}
{{- end }}
{{- end -}}

{{/* A Role in a namespace and its binding to the operator: of the chart's root, the namespace, the name's ending and the rules. */}}
{{- define "iamdb-operator.role" -}}
{{- $root := index . 0 -}}
{{- $name := printf "%s%s" (include "iamdb-operator.name" $root) (index . 2) -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{ $name }}
  namespace: {{ index . 1 }}
  labels:
    {{- include "iamdb-operator.labels" $root | nindent 4 }}
rules:
  {{- index . 3 | trim | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{ $name }}
  namespace: {{ index . 1 }}
  labels:
    {{- include "iamdb-operator.labels" $root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{ $name }}
subjects:
  - kind: ServiceAccount
    name: {{ include "iamdb-operator.serviceAccount" $root }}
    namespace: {{ $root.Release.Namespace }}
{{- end -}}
