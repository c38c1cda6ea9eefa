//! Tells the workers of this process apart in the SDK's metrics: without it, the gauges of two on one queue would
//! write over each other.

use std::sync::Arc;

use temporalio_common::telemetry::metrics::{
    CoreMeter, Counter, Gauge, GaugeF64, Histogram, HistogramDuration, HistogramF64, MetricAttributes, MetricKeyValue,
    MetricParameters, NewAttributes, UpDownCounter,
};

/// The label, whose values are the numbers of the shards.
pub(crate) const LABEL: &str = "shard";

/// A meter that puts the shard beside every other label.
#[derive(Debug)]
pub(crate) struct ShardMeter {
    meter: Arc<dyn CoreMeter>,
    shard: MetricKeyValue,
}

impl ShardMeter {
    pub(crate) fn new(meter: Arc<dyn CoreMeter>, shard: usize) -> Self {
        Self { meter, shard: MetricKeyValue::new(LABEL, shard.to_string()) }
    }
}

impl CoreMeter for ShardMeter {
    fn new_attributes(&self, mut attributes: NewAttributes) -> MetricAttributes {
        attributes.extend([self.shard.clone()]);
        self.meter.new_attributes(attributes)
    }

    /// What is extended was made by `new_attributes` and has the label already.
    fn extend_attributes(&self, existing: MetricAttributes, attributes: NewAttributes) -> MetricAttributes {
        self.meter.extend_attributes(existing, attributes)
    }

    fn counter(&self, parameters: MetricParameters) -> Counter {
        self.meter.counter(parameters)
    }

    fn histogram(&self, parameters: MetricParameters) -> Histogram {
        self.meter.histogram(parameters)
    }

    fn histogram_f64(&self, parameters: MetricParameters) -> HistogramF64 {
        self.meter.histogram_f64(parameters)
    }

    fn histogram_duration(&self, parameters: MetricParameters) -> HistogramDuration {
        self.meter.histogram_duration(parameters)
    }

    fn gauge(&self, parameters: MetricParameters) -> Gauge {
        self.meter.gauge(parameters)
    }

    fn gauge_f64(&self, parameters: MetricParameters) -> GaugeF64 {
        self.meter.gauge_f64(parameters)
    }

    fn up_down_counter(&self, parameters: MetricParameters) -> UpDownCounter {
        self.meter.up_down_counter(parameters)
    }
}
