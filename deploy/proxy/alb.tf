# AWS's Application Load Balancer in front of receiver, for Terraform. docs/proxies.md explains the lines. No test runs
# this file.
# At the receiver: public.address: ":8080", private.address: ":8081" with a token, and public.trusted_proxies with the
# networks of the subnets below.
variable "vpc" { type = string }
variable "subnets" { type = list(string) }
variable "security_group" { type = string }
variable "certificate" { type = string }

resource "aws_lb" "receiver" {
  name               = "receiver"
  load_balancer_type = "application"
  subnets            = var.subnets
  security_groups    = [var.security_group]

  # The balancer closes idle connections first: below limits.idle_timeout (75s).
  idle_timeout = 60
  # The peer's address at the end, where the receiver reads it. "preserve" would pass on what the client claims.
  xff_header_processing_mode = "append"
  enable_xff_client_port     = false
  # Requests that proxies read in different ways end here.
  desync_mitigation_mode     = "strictest"
  drop_invalid_header_fields = true
}

resource "aws_lb_listener" "hooks" {
  load_balancer_arn = aws_lb.receiver.arn
  port              = 443
  protocol          = "HTTPS"
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  certificate_arn   = var.certificate

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.receiver.arn
  }
}

# No listener on port 80 that redirects: a redirect turns the POST into a GET and drops the body.

resource "aws_lb_target_group" "receiver" {
  name             = "receiver"
  vpc_id           = var.vpc
  target_type      = "ip"
  protocol         = "HTTP"
  protocol_version = "HTTP1"
  port             = 8080
  # Above limits.shutdown_timeout (20s): callbacks that have begun are answered.
  deregistration_delay = 30

  # On the private listener, which answers a probe without a token.
  health_check {
    path                = "/readyz"
    port                = "8081"
    matcher             = "200"
    interval            = 10
    timeout             = 5
    healthy_threshold   = 2
    unhealthy_threshold = 2
  }
}
