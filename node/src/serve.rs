//! `ting serve`: everything started in order, kept, and ended in the reverse order.

use crate::admin;
use crate::app::App;
use crate::config::{Settings, SettingsError};
use crate::http::{self, Gateway};
use crate::lifecycle::Lifecycle;
use crate::listener::{self, Tls};
use crate::signals::{Signals, Told};
use crate::sockets::Edge;
use crate::store::{Opened, Opening};
use crate::telemetry::Telemetry;
use actors::{ClusterLinks, Links, Start, System};
use anyhow::{Context, bail};
use metrics_exporter_prometheus::PrometheusHandle;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{error, info};

/// How long requests under way may take to finish when a node goes; longer than any may take.
const LAST_REQUESTS: Duration = Duration::from_secs(3);

/// How serving ended.
#[derive(Debug)]
pub enum Served {
    /// As it was told to.
    Ended,
    /// The other nodes go on without it: it comes back under a new name, on the same ports.
    PutOut {
        /// Where it listened, by key.
        listening: Vec<(&'static str, SocketAddr)>,
        /// For how long it had been up.
        up: Duration,
    },
}

/// Serves until told to go, after a `pause` in which it is no member.
pub async fn serve(
    settings: Settings,
    metrics: PrometheusHandle,
    pause: Duration,
) -> anyhow::Result<Served> {
    let mut signals = Signals::listen()?;
    let tls = tls(&settings)?;
    let opening = Opening::begin(&settings.store).await?;
    let mut ports = Ports::bind(&settings).await?;
    let listening = ports.listening()?;
    let links = ports.links(&settings)?;
    let (end, ended) = watch::channel(false);

    let lifecycle = Lifecycle::new(settings.limits.http.drain());
    let gateway = Gateway::default();
    let edge = Edge::new(&settings.limits.sockets);
    let public = edge.layer().before(gateway.router());
    let connections = listener::Limits {
        proxies: settings.http.proxies.clone(),
        ..settings.limits.connections.clone()
    };
    tokio::spawn(Telemetry::upkeep(metrics.clone()));
    let admin = spawn_server(
        ports.admin,
        None,
        admin::router(lifecycle.clone(), metrics),
        ended.clone(),
        listener::Limits::default(),
    );
    let public = spawn_server(ports.public, tls.clone(), public, ended, connections);

    let (system, opened) = tokio::select! {
        started = start(&settings, &opening, &edge, links, pause) => started?,
        _ = until_told(&mut signals, tls.as_ref(), &lifecycle) => {
            info!("told to go before the store was reached");
            return Ok(Served::Ended);
        }
    };
    edge.attach(
        system.clone(),
        settings.http.origins.clone(),
        settings.http.proxies.clone(),
    );
    let app = App::new(
        system.clone(),
        opened.store(),
        settings.secret.clone(),
        settings.http.origins.clone(),
        settings.http.proxies.clone(),
        &settings.limits.http,
    )?;
    gateway.open(http::router(app));
    lifecycle.started(system.clone());
    info!("ready");

    let began = Instant::now();
    let signals_more = tokio::select! {
        signals_more = until_told(&mut signals, tls.as_ref(), &lifecycle) => signals_more,
        // What is open ends with this process: nothing may be served any more.
        () = system.put_out() => {
            let up = began.elapsed();
            return Ok(Served::PutOut { listening, up });
        }
    };
    let at_once = async {
        for _ in 0..signals_more {
            signals.end().await;
        }
    };
    tokio::pin!(at_once);
    tokio::select! {
        () = lifecycle.drain() => {}
        () = &mut at_once => bail!("told to go a second time, and went at once"),
    }
    // Nobody listens any more only if both servers are gone already.
    let _ = end.send(true);
    let last = tokio::time::timeout(LAST_REQUESTS, async { tokio::join!(public, admin) });
    tokio::select! {
        _ = last => {}
        () = at_once => bail!("told to go a second time, and went at once"),
    }
    system.stop().await;
    opened.close().await;
    info!("ended");
    Ok(Served::Ended)
}

/// The certificate, if one is named, found good.
pub fn tls(settings: &Settings) -> Result<Option<Tls>, SettingsError> {
    let Some((certificate, key)) = &settings.http.tls else {
        return Ok(None);
    };
    Tls::load(certificate, key)
        .map(Some)
        .map_err(|error| SettingsError::new("http.tls_certificate", error.to_string()))
}

/// All ports, open.
struct Ports {
    public: TcpListener,
    admin: TcpListener,
    cluster: Option<TcpListener>,
}

impl Ports {
    async fn bind(settings: &Settings) -> anyhow::Result<Self> {
        let ports = Ports {
            public: bind("http.listen", settings.http.listen).await?,
            admin: bind("admin.listen", settings.admin).await?,
            cluster: match &settings.cluster {
                Some(cluster) => Some(bind("cluster.listen", cluster.listen).await?),
                None => None,
            },
        };
        let cluster = ports.cluster.as_ref().map(TcpListener::local_addr);
        info!(
            http.listen = %ports.public.local_addr()?,
            admin.listen = %ports.admin.local_addr()?,
            cluster.listen = cluster.transpose()?.map(tracing::field::display),
            "listening"
        );
        Ok(ports)
    }

    fn listening(&self) -> std::io::Result<Vec<(&'static str, SocketAddr)>> {
        let mut listening = vec![
            ("http.listen", self.public.local_addr()?),
            ("admin.listen", self.admin.local_addr()?),
        ];
        if let Some(cluster) = &self.cluster {
            listening.push(("cluster.listen", cluster.local_addr()?));
        }
        Ok(listening)
    }

    fn links(&mut self, settings: &Settings) -> anyhow::Result<Option<Arc<dyn Links>>> {
        let (Some(listener), Some(cluster)) = (self.cluster.take(), &settings.cluster) else {
            return Ok(None);
        };
        let advertised = match &cluster.advertise {
            Some(advertised) => advertised.clone(),
            None => listener.local_addr()?.to_string(),
        };
        Ok(Some(ClusterLinks::new(listener, advertised)?))
    }
}

async fn bind(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{key}: can't listen on {address}"))
}

fn spawn_server(
    bound: TcpListener,
    tls: Option<Tls>,
    router: axum::Router,
    mut ended: watch::Receiver<bool>,
    limits: listener::Limits,
) -> JoinHandle<()> {
    tokio::spawn(async move {
        let shutdown = async move {
            // Whoever would tell it is gone, or has told it.
            let _ = ended.wait_for(|ended| *ended).await;
        };
        if let Err(failed) = listener::serve(bound, tls, router, shutdown, limits).await {
            error!(error = %failed, "a port is not served any more");
        }
    })
}

async fn start(
    settings: &Settings,
    opening: &Opening,
    edge: &Edge,
    links: Option<Arc<dyn Links>>,
    pause: Duration,
) -> anyhow::Result<(System, Opened)> {
    tokio::time::sleep(pause).await;
    let opened = opening.reach().await?;
    let start = Start {
        store: opened.store(),
        sockets: edge.sockets(),
        limits: settings.limits.people,
        links,
    };
    let system = System::start(start).await?;
    Ok((system, opened))
}

/// Waits until this node is told to go, by a signal or on the admin port; how many signals more end
/// it at once. Whoever drains it may signal it once as well, as what supervises it does, and cuts
/// nothing short.
async fn until_told(signals: &mut Signals, tls: Option<&Tls>, lifecycle: &Lifecycle) -> usize {
    let signalled = async {
        while signals.next().await == Told::Reload {
            match tls.map(Tls::reload) {
                None => info!("nothing to read again: http.tls_certificate is not set"),
                Some(Ok(())) => info!("the certificate was read again"),
                Some(Err(refused)) => error!(error = %refused, "the old certificate stays"),
            }
        }
    };
    tokio::select! {
        () = signalled => 1,
        () = lifecycle.is_draining() => 2,
    }
}
