{{- define "iamdb-operator.name" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 63 | trimSuffix "-" -}}
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
